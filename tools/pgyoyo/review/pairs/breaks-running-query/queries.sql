-- name: find_event
-- calls: 1204
SELECT id, kind FROM running WHERE id = $1;
