"""How long it takes to judge a thousand statements of an application before and after a migration, by part.

Run it with `python tests/benchmarks/running.py [STATEMENTS [TABLES]]`; DATABASE_URL names a server, else one is started.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

sys.path.insert(0, str(Path(__file__).parents[1]))
import own_server
from pgyoyo.migrations import reader
from pgyoyo.review.running import Running
from pgyoyo.scratch import databases
from pgyoyo.workload import functions, guards, plans
from pgyoyo.workload.description import describe
from pgyoyo.workload.reach import sent
from pgyoyo.workload.statements import Query

FILE = reader.read_one(Path(__file__).parents[1] / "cases" / "queries" / "schema.sql").apply
# Of each table: what an application sends to it, in forms that differ by their columns.
SHAPES = (
    "SELECT id, name, owner_id, state, created_at FROM t{n} WHERE id = $1 AND {k} = {k}",
    "SELECT t.id, o.name FROM t{n} AS t JOIN t{m} AS o ON o.id = t.owner_id WHERE t.state = $1 AND {k} = {k} ORDER BY t.id",
    "INSERT INTO t{n} (name, owner_id, state) VALUES ($1, $2, 'new'), ($3, $4, 'open') RETURNING id, {k}",
    "UPDATE t{n} SET state = $1, name = upper($2) WHERE id = $3 AND {k} = {k}",
    "DELETE FROM t{n} WHERE owner_id = $1 AND {k} = {k}",
)
TABLE = """
CREATE TABLE t{n} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, owner_id bigint, state text
  CHECK (state IN ('new', 'open', 'done')), created_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON t{n} (owner_id);
CREATE FUNCTION f{n}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := trim(NEW.name); RETURN NEW; END $$;
CREATE TRIGGER trimmed BEFORE INSERT OR UPDATE ON t{n} FOR EACH ROW EXECUTE FUNCTION f{n}();
"""
# A hard one: something of every table, so that nothing is as before.
CHANGE = """
ALTER TABLE t{n} ADD CHECK (length(name) > 1), ADD COLUMN kind text, ALTER COLUMN owner_id SET NOT NULL;
DROP INDEX t{n}_owner_id_idx;
"""


def timed(words: str, work: Callable[[], object]) -> None:
    began = time.perf_counter()
    work()
    print(f"{words:44} {time.perf_counter() - began:6.2f} s")


def main(count: int, tables: int) -> None:
    texts = [SHAPES[k % len(SHAPES)].format(n=k // len(SHAPES) % tables, m=(k + 1) % tables, k=k) for k in range(count)]
    with own_server.superuser({"fsync": "off", "autovacuum": "off"}) as conninfo, databases.server(conninfo) as admin:
        name = "running_benchmark"
        databases.create(admin, name)
        with psycopg.connect(make_conninfo(conninfo, dbname=name), autocommit=True) as conn:
            for change, words in (
                (CHANGE.format(n=0), "of one table"),
                ("".join(CHANGE.format(n=n) for n in range(tables)), "of every table"),
            ):
                conn.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
                conn.execute("".join(TABLE.format(n=n) for n in range(tables)).encode())
                running = Running(Path("queries.sql"), [Query(text) for text in texts])
                print(f"{count} statements, {tables} tables with triggers; a change {words}")
                timed("  the first look", partial(running.look, conn))
                conn.execute(change.encode())
                timed("  the judgement, with the look behind it", partial(running.judge, conn, FILE, []))
            timed("  reading the statements", lambda: [sent(text) for text in texts])
            timed("  describing and planning them", lambda: describe(conn, texts))
            timed("  the catalog", lambda: (guards.read(conn), plans.read(conn), functions.read(conn)))
        databases.drop(admin, name)


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    main(*(given + [1000, 50][len(given) :]))
