"""Reviews made by hand, for the tests of the renderers: one of each kind, and hostile text wherever text can stand."""

from dataclasses import replace
from pathlib import Path

from pgyoyo.catalog.snapshot import Change
from pgyoyo.review.sheet import (
    ERROR,
    FAILED,
    NOT_REACHED,
    NOTE,
    WARNING,
    Finding,
    LiveTable,
    Lock,
    ObservedStatement,
    Relation,
    Review,
    Rollback,
    Rows,
    Sheet,
    Work,
)  # fmt: skip

STATES = Relation("public.cj_batch_states", "table", existed=True)
SIZE = LiveTable(48_000_000, 6_657_199_309, 4, 2_254_857_830, 12.0, 3.0)
HOSTILE = (
    "</script><script>alert(1)</script> | `tick` ``` ]]> %0A::error::x \r\n <!-- --> & \"' \x1b[31m \u202eevil 🐘 \udcff"
    "@everybody #12 </details> {{ 7 * 7 }} \\ *b* _i_ " + "x" * 400
)


def path(name: str) -> Path:
    return Path("sql/migrations") / f"{name}.sql"


def bad() -> Sheet:
    """The ALTER and the UPDATE of total_budget in one file."""
    lock = Lock(STATES, "ACCESS EXCLUSIVE", 1, 2)
    weak = Lock(STATES, "ROW EXCLUSIVE", 2, 2)
    added = Change("column", "public.cj_batch_states.total_budget", None, "integer")
    alter = ObservedStatement(
        1, 5, "ALTER TABLE cj_batch_states\n    ADD COLUMN total_budget integer", "ALTER TABLE cj_batch_states",
        taken=(lock,), alone=(lock,), work=Work(duration=0.6, wal=500), changes=(added,), lock_timeout=100,
    )  # fmt: skip
    update = ObservedStatement(
        2, 8, "UPDATE cj_batch_states SET total_budget = total_comparisons", "UPDATE cj_batch_states",
        taken=(weak,), alone=(weak,), held=(lock,), lock_timeout=100,
        work=Work(scanned=(STATES,), rows=(Rows(STATES, 0, 2700, 0),), duration=1234.5, wal=3_000_000),
    )  # fmt: skip
    file = path("0004_add_total_budget")
    findings = (
        Finding("result-type-changes", NOTE, file, 5, 1, "the columns change: total_budget", "Clients.", "Try again."),
        Finding("update-not-batched", WARNING, file, 8, 2, "it updates 2,700 rows", "Writers wait.", "Batch it."),
        Finding(
            "lock-held-while-working", ERROR, file, 8, 2, "UPDATE runs while ACCESS EXCLUSIVE is held since line 5",
            "Every session that uses cj_batch_states waits.", "COMMIT;\nUPDATE cj_batch_states SET …;",
        ),
    )  # fmt: skip
    return Sheet(
        "0004_add_total_budget", file, "Add total_budget.", True, (alter, update), (lock, weak), findings,
        Rollback(
            "proved", (), "every total_budget is gone", path("0004_add_total_budget.rollback"),
            "ALTER TABLE cj_batch_states DROP COLUMN total_budget;",
        ), {STATES.name: SIZE},
    )  # fmt: skip


def clean() -> Sheet:
    relation = Relation("public.grades", "table", existed=False)
    lock = Lock(relation, "ACCESS EXCLUSIVE", 1, 1)
    made = ObservedStatement(1, 1, "CREATE TABLE grades ()", "CREATE TABLE grades", taken=(lock,), alone=(lock,))
    return Sheet("0001_clean", path("0001_clean"), "Grades.", True, (made,), (lock,), rollback=Rollback("proved"))


def failed() -> Sheet:
    file = path("0002_failed")
    names = ("CREATE TABLE a", "SELECT", "SELECT", "DROP TABLE b", "DROP TABLE c")
    seen = [
        ObservedStatement(i, i, f"{name} x", name, "ran" if i == 1 else NOT_REACHED)
        for i, name in enumerate(names, start=1)
    ]
    error = "sql/migrations/0002_failed.sql:2: in SELECT:\nERROR: division by zero (SQLSTATE 22012)"
    seen[1] = replace(seen[1], state=FAILED, error=error, sqlstate="22012")
    finding = Finding("statement-fails", ERROR, file, 2, 2, error, "It can't be applied.", "Fix the file.")
    return Sheet("0002_failed", file, "", True, tuple(seen), findings=(finding,), notes=("not proved: it failed",))


def allowed() -> Sheet:
    file = path("0003_allowed")
    lock = Lock(STATES, "SHARE", 1, 1)
    index = ObservedStatement(1, 3, "CREATE INDEX ON cj_batch_states (x)", "CREATE INDEX", taken=(lock,), alone=(lock,))
    finding = Finding(
        "index-not-concurrently", ERROR, file, 3, 1, "it builds an index under SHARE", allowed="the table holds twenty rows"
    )  # fmt: skip
    return Sheet(
        "0003_allowed", file, "", False, (index,), (lock,), (finding,), Rollback("irreversible", ("no way back",))
    )


def long(count: int = 300) -> Sheet:
    """One statement, then INSERTs that are alike, then one more: three rows; and half of them all different if odd."""
    table = Relation("public.words", "table", existed=True)
    locks = (Lock(table, "ACCESS EXCLUSIVE", 1, count), Lock(table, "SHARE UPDATE EXCLUSIVE", count - 1, count))
    seen = [
        ObservedStatement(1, 1, "ALTER TABLE words ADD x int", "ALTER TABLE words", taken=locks[:1], alone=locks[:1])
    ]
    work = Work(rows=(Rows(table, 1, 0, 0),), duration=1.0)
    seen += [
        ObservedStatement(i, i, f"INSERT INTO words VALUES ({i})", "INSERT INTO words", work=work)
        for i in range(2, count)
    ]
    seen.append(
        ObservedStatement(count, count, "COMMENT ON TABLE words IS 'x'", "COMMENT ON TABLE words", taken=locks[1:])
    )
    return Sheet("0005_long", path("0005_long"), "", True, tuple(seen), locks, rollback=Rollback("proved"))


def different(count: int = 300) -> Sheet:
    """As many statements as that, no two of which can be folded."""
    tables = [Relation(f"public.t{i}", "table", existed=True) for i in range(1, count + 1)]
    locks = tuple(Lock(table, "ACCESS EXCLUSIVE", i, count) for i, table in enumerate(tables[:40], start=1))
    seen = tuple(
        ObservedStatement(i, i, f"ALTER TABLE t{i} ADD COLUMN x integer", f"ALTER TABLE t{i}", taken=locks[i - 1 : i])
        for i in range(1, count + 1)
    )
    file = path("0006_different")
    findings = tuple(
        Finding("several-tables-locked", WARNING, file, i, i, "happens " * 20, "effect " * 20, "safer " * 20)
        for i in range(1, count + 1)
    )
    return Sheet("0006_different", file, "", True, seen, locks, findings, rollback=Rollback("proved"))


def hostile() -> Sheet:
    name, file = HOSTILE, Path(f"sql/a b:c,d%0A {HOSTILE[:60].replace('/', '-')}\x1b\u202e\udcff.sql")
    relation = Relation(f'public."{HOSTILE}"', "table", existed=True)
    lock = Lock(relation, "ACCESS EXCLUSIVE", 1, 3)
    change = Change("table", HOSTILE, None, HOSTILE)
    ran = ObservedStatement(
        1, 1, f"SELECT '{HOSTILE}\n' -- {HOSTILE}", HOSTILE, taken=(lock,), alone=(lock,), held=(lock,), changes=(change,),
        work=Work(scanned=(relation,), rewritten=(relation,), built=(relation,), emptied=(relation,)),
    )  # fmt: skip
    bad = ObservedStatement(2, 3, HOSTILE, HOSTILE, FAILED, error=HOSTILE)
    findings = (
        Finding(f"squawk:{HOSTILE}", ERROR, file, 1, 1, HOSTILE, HOSTILE, HOSTILE, "squawk", url="javascript:alert(1)"),
        Finding("defect", ERROR, file, 3, 2, HOSTILE, HOSTILE, f"{HOSTILE};"),
        Finding("defect", NOTE, file, 3, 2, HOSTILE, allowed=HOSTILE),
        Finding("defect", NOTE, Path(HOSTILE), 3, None, HOSTILE),
    )
    return Sheet(
        name, file, HOSTILE, True, (ran, bad), (lock,), findings,
        Rollback("failed", (HOSTILE,), HOSTILE, Path(HOSTILE), HOSTILE),
        {relation.name: SIZE, "public.b": LiveTable(None, None, 1, None, None, None)}, (HOSTILE,),
    )  # fmt: skip


def review(*sheets: Sheet, server: str = "PostgreSQL 18.4, TimeZone UTC") -> Review:
    """A review of these sheets, of a few of each kind without any."""
    if not sheets:
        sheets = (clean(), failed(), allowed(), bad(), long())
    return Review(
        sheets, server, "sql/sample_data.sql, before 0004", "database cj", ("the oldest transaction is 12 s old",)
    )
