-- :n rows in the larger tables, a fourth of it in those that they point to.
INSERT INTO account SELECT g, 'user' || g || '@example.org', g % 3 > 0, 'n' || g, g % 50, (ARRAY['free', 'basic', 'pro'])[1 + g % 3]
FROM generate_series(1, :n / 4) AS g;
INSERT INTO event
SELECT g, 1 + g % (:n / 4), timestamptz '2025-01-01' + g * interval '700 days' / :n, date '2025-01-01' + (g * 700 / :n)::int,
  (ARRAY['view', 'sale'])[1 + g % 2], jsonb_build_object('k', (ARRAY['x', 'y'])[1 + g % 2]), CASE WHEN g % 2 = 0 THEN g END, 'note'
FROM generate_series(1, :n) AS g;
INSERT INTO tag SELECT g, (ARRAY['a', 'b'])[i] FROM generate_series(1, :n) AS g, generate_series(1, 2) AS i WHERE g % 2 = 1;
INSERT INTO bare SELECT g, 1 + g % (:n / 4), '2025-01-01', CASE WHEN g % 2 = 0 THEN 'z' END FROM generate_series(1, :n) AS g;
INSERT INTO bare_3 SELECT * FROM bare;
INSERT INTO bare_2 SELECT g, 1 FROM generate_series(1, :n) AS g;
INSERT INTO ref SELECT g, 1 + g % (:n / 4), CASE WHEN g % 2 = 0 THEN g END, 'l' FROM generate_series(1, :n) AS g;
INSERT INTO setting VALUES ('mode', 'a'), ('a', 'b'), ('other2', 'c'), ('spread', 'd');
INSERT INTO switch VALUES (1, false), (2, false);
INSERT INTO tag SELECT 3999, 'x' || g FROM generate_series(1, :n / 4) AS g;
INSERT INTO folder SELECT g, CASE WHEN g > 1 THEN 1 + g % 7 END, 'f', false FROM generate_series(1, 7) AS g;
INSERT INTO folder SELECT g, 1 + g % 7, 'f', false FROM generate_series(8, :n) AS g;
INSERT INTO team VALUES (1, 'a', 'a'), (2, 'b', 'b');
INSERT INTO task SELECT g, 1 + g % 2, (ARRAY['a', 'b'])[1 + g % 2] FROM generate_series(1, :n) AS g;
INSERT INTO seat SELECT g, 1 + g % 2 FROM generate_series(1, :n) AS g;
INSERT INTO archive SELECT * FROM event;
INSERT INTO log SELECT g, date '2025-01-01' + (g * 700 / :n)::int, 1 + g % (:n / 4), 'm' FROM generate_series(1, :n) AS g;
INSERT INTO log_2024 SELECT g, '2024-05-05', 1, 'm' FROM generate_series(1, :n) AS g;
INSERT INTO log_2023 SELECT g, '2023-05-05', 1, 'm' FROM generate_series(1, :n) AS g;
INSERT INTO bucket SELECT g, 1 FROM generate_series(1, :n) AS g;
INSERT INTO shape SELECT g, 5 FROM generate_series(1, :n) AS g;
INSERT INTO circle SELECT g, CASE WHEN g % 2 = 0 THEN 5 END, 1 FROM generate_series(:n + 1, 2 * :n) AS g;
INSERT INTO named SELECT g, 'n', 5, '2025-01-01', 1.25, 1.25, '::1' FROM generate_series(1, :n) AS g;
INSERT INTO tenant VALUES (1, 'a'), (2, 'b'), (3, 'c');
INSERT INTO job SELECT g, 1 + g % 3, g % 2 = 0, 1 FROM generate_series(1, :n) AS g;
INSERT INTO item SELECT 1 + g % 4, g, int4range(g, g + 10), jsonb_build_object('k', (ARRAY['x', 'y'])[1 + g % 2]), 'C' || g,
  (ARRAY['open', 'open', 'held', 'done'])[1 + g % 4], timestamptz '2025-01-01' + g * interval '700 days' / :n FROM generate_series(1, :n) AS g;
INSERT INTO typed SELECT g, 'b' FROM generate_series(1, :n) AS g;
INSERT INTO diary SELECT g, 'good', 't' FROM generate_series(1, :n) AS g;
INSERT INTO worker SELECT g, 'w', now() FROM generate_series(1, 4) AS g;
INSERT INTO slot SELECT g, 'a', 1 + g % 4, true FROM generate_series(1, :n) AS g;
INSERT INTO run SELECT g % 3, date '2025-01-01' + (g * 700 / :n)::int, g, (ARRAY['open', 'done', 'held'])[1 + g % 3], 'n' FROM generate_series(1, :n) AS g;
INSERT INTO run_2027 SELECT 1, '2027-05-05', g, 'open', 'n' FROM generate_series(1, :n) AS g;
INSERT INTO run_2028 SELECT 1, '2028-05-05', g, 'open', 'n' FROM generate_series(1, :n) AS g;
INSERT INTO doc (id, owner_id, body, deleted_at, number) SELECT ('00000000-0000-0000-0000-' || lpad(g::text, 12, '0'))::uuid, 1 + g % (:n / 4), 'b' || g, CASE WHEN g % 2 = 0 THEN now() END, g FROM generate_series(1, :n) AS g;
INSERT INTO cache SELECT 'k' || g, '{}', now() FROM generate_series(1, :n) AS g;
INSERT INTO gone_run_2024 SELECT 1, g FROM generate_series(1, :n) AS g;
SELECT setval(pg_get_serial_sequence('event', 'id'), :n);
REFRESH MATERIALIZED VIEW per_account;
ANALYZE;
