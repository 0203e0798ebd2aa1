-- Deploy shop:users to pg
\set ON_ERROR_STOP on

BEGIN;

CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL,
    touched_at timestamptz
);

COMMIT;
