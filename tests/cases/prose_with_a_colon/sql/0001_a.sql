-- Note: this is prose.
-- See also: https://example.org
-- Author: somebody; preview: later
-- A table.

CREATE TABLE a (i integer);
