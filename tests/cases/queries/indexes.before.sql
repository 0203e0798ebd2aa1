CREATE TABLE event (id int PRIMARY KEY, account_id int, kind text, at timestamptz, payload text);
INSERT INTO event
  SELECT n, n % 1000, 'kind ' || n % 500, timestamptz '2026-01-01 UTC' + n * interval '1 s', repeat('x', 200) FROM generate_series(1, 3000) AS n;
CREATE INDEX event_account_idx ON event (account_id);
CREATE INDEX event_at_idx ON event (at);
CREATE UNIQUE INDEX event_kind_idx ON event (lower(kind), id) INCLUDE (payload);
CREATE VIEW events AS SELECT id, account_id AS of FROM event;
ANALYZE event;
