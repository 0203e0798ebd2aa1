-- phase: expand

CREATE OR REPLACE FUNCTION note_pet() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RETURN NULL;
END
$$;
