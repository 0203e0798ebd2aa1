-- +goose Up
CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL,
    touched_at timestamptz
);
-- +goose StatementBegin
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.touched_at := now();
    RETURN NEW;
END;
$$
-- +goose StatementEnd
COMMENT ON TABLE users IS 'Who may log in';

-- +goose Down
DROP FUNCTION touch();
DROP TABLE users;
