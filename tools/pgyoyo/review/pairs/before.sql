-- What stands before each of the migrations under review.

CREATE TYPE mood AS ENUM ('calm', 'angry');
CREATE DOMAIN short AS text;

CREATE TABLE person (
  id bigint PRIMARY KEY,
  name varchar(100) NOT NULL,
  email text,
  age integer,
  born timestamp,
  mood mood,
  nickname short
);
CREATE INDEX person_age_idx ON person (age);

CREATE TABLE pet (
  id bigint PRIMARY KEY,
  owner_id bigint CONSTRAINT pet_owner_id_fkey REFERENCES person,
  friend_id bigint,
  name text
);

CREATE TABLE visit (
  pet_id bigint NOT NULL,
  day date NOT NULL
) PARTITION BY RANGE (day);
CREATE TABLE visit_2025 PARTITION OF visit FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE visit_other PARTITION OF visit DEFAULT;

CREATE MATERIALIZED VIEW pets_per_person AS SELECT owner_id, count(*) AS pets FROM pet GROUP BY owner_id;
CREATE UNIQUE INDEX pets_per_person_owner_id_idx ON pets_per_person (owner_id);

CREATE TABLE audit (
  pet_id bigint NOT NULL,
  at timestamptz NOT NULL DEFAULT now()
);
CREATE FUNCTION note_pet() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO audit (pet_id) VALUES (NEW.id);
  RETURN NULL;
END
$$;
CREATE TRIGGER pet_is_noted AFTER UPDATE ON pet FOR EACH ROW EXECUTE FUNCTION note_pet();

CREATE TABLE club (id bigint PRIMARY KEY);
CREATE TABLE member (id bigint PRIMARY KEY, club_id bigint REFERENCES club ON DELETE CASCADE);
CREATE INDEX member_club_id_idx ON member (club_id);
