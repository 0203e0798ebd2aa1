-- name: add_event
INSERT INTO running (kind) VALUES ($1);
