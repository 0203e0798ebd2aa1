"""The trigger that keeps two columns of a table in step."""

from collections.abc import Callable, Sequence

from pgyoyo.columns.facts import Column


class Sync:
    """The function and the trigger; `free` gives names, as SQL, that nothing has.

    PostgreSQL fires the triggers of a row in the order of their names: this one has to see what the others made of it.
    """

    def __init__(self, column: Column, free: Callable[[str], str]) -> None:
        self.column = column
        self.name = free(("zz_" if column.has_triggers else "") + f"{column.bare_table}_{column.bare}_in_step")

    def function(self, body: str) -> str:
        """The function with that body, in the place of an earlier one."""
        return (
            f"CREATE OR REPLACE FUNCTION {self.column.place}{self.name}() RETURNS trigger\nLANGUAGE plpgsql AS $$\nBEGIN\n"
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


def backfill_directives(column: Column) -> tuple[str, ...]:
    """How the new column is filled: without the table's own triggers, which may note a change that is none."""
    return ("backfill: batched, triggers skip",) if column.has_triggers else ("backfill: batched",)
