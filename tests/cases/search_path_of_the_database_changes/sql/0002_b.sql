ALTER ROLE CURRENT_USER SET statement_timeout = '59s';
