"""The trigger that keeps two columns of a table in step."""

from collections.abc import Callable, Sequence

from pgyoyo.columns.facts import Column


class Sync:
    """The function and the trigger; `free` gives names, as SQL, that nothing has.

    PostgreSQL fires the triggers of a row in the order of their names: this one has to see what the others made of it.
    """

    def __init__(self, column: Column, free: Callable[[str], str]) -> None:
        self.column = column
        name = f"{column.bare_table}_{column.bare}_in_step"
        if last := column.last_trigger:
            name = next(prefix + name for prefix in ("zz_", "zzz_", f"{last}_") if prefix + name > last)
        self.name = free(name)

    def function(self, body: str, *, again: bool = False) -> str:
        """The function with that body, with `again` in the place of an earlier one."""
        words = "CREATE OR REPLACE FUNCTION" if again else "CREATE FUNCTION"
        return (
            f"{words} {self.column.place}{self.name}() RETURNS trigger\nLANGUAGE plpgsql AS $$\nBEGIN\n"
            f"{body}\n    RETURN NEW;\nEND\n$$"
        )

    def trigger(self) -> str:
        """The trigger that calls it for each row that is written."""
        return (
            f"CREATE TRIGGER {self.name} BEFORE INSERT OR UPDATE ON {self.column.table}\n"
            f"    FOR EACH ROW EXECUTE FUNCTION {self.column.place}{self.name}()"
        )

    def dropped(self) -> Sequence[str]:
        """The statements that drop both."""
        return (
            f"DROP TRIGGER {self.name} ON {self.column.table}",
            f"DROP FUNCTION {self.column.place}{self.name}()",
        )


def without_triggers(column: Column, statement: str) -> list[str]:
    """The statement while the table's own triggers are off, which may note a change that is none."""
    triggers = column.triggers
    return [
        *(f"ALTER TABLE {column.table} DISABLE TRIGGER {name}" for name in triggers),
        statement,
        *(f"ALTER TABLE {column.table} ENABLE TRIGGER {name}" for name in triggers),
    ]


def backfill_directives(column: Column) -> tuple[str, ...]:
    """How the new column is filled: without the table's own triggers, which may note a change that is none."""
    return ("backfill: batched, triggers skip",) if column.triggers else ("backfill: batched",)
