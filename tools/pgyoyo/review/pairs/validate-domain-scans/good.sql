ALTER DOMAIN short ADD CONSTRAINT short_length_check CHECK (length(VALUE) < 100) NOT VALID;
