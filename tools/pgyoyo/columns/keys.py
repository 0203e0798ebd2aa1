"""The indexes and constraints of a column, made again for the one that takes its place."""

from collections.abc import Callable
from dataclasses import dataclass

from pgyoyo.columns.facts import Column, Constraint, Index
from pgyoyo.columns.substitution import of_foreign_key, renamed


@dataclass(frozen=True, slots=True)
class Keys:
    """What has to be there for the column `new` before it can take the place of `column`; each thing has a name of its own.

    `not_null` is the name of a check where `new` is to be NOT NULL; `primary` the index of the primary key.
    """

    column: Column
    new: str
    indexes: dict[str, Index]
    constraints: dict[str, Constraint]
    not_null: str

    @classmethod
    def of(cls, column: Column, new: str, free: Callable[[str], str], suffix: str) -> "Keys":
        """The keys of a column for `new`; `free` gives a name that nothing has, as SQL."""
        return cls(
            column, new,
            {free(f"{index.bare}{suffix}"): index for index in column.indexes},
            {free(f"{each.bare}{suffix}"): each for each in column.constraints},
            free(f"{column.bare_table}_{column.bare}{suffix}_not_null") if column.not_null else "",
        )  # fmt: skip

    @property
    def primary(self) -> tuple[str, Index] | None:
        """The new index of the primary key, and the old one."""
        return next(((name, index) for name, index in self.indexes.items() if index.is_primary), None)

    def made(self) -> list[str]:
        """The statements that make them beside the old ones, outside a transaction, without shutting anybody out for long."""
        table = self.column.table
        indexes = self.indexes.items()
        statements = [each for name, index in indexes for each in self._index(name, index, "CONCURRENTLY ")]
        if self.not_null:
            statements += [
                f"ALTER TABLE {table} ADD CONSTRAINT {self.not_null} CHECK ({self.new} IS NOT NULL) NOT VALID",
                f"ALTER TABLE {table} VALIDATE CONSTRAINT {self.not_null}",
            ]
        for name, constraint in self.constraints.items():
            statements += [
                f"ALTER TABLE {constraint.table} ADD CONSTRAINT {name} {self.definition(constraint)} NOT VALID",
                f"ALTER TABLE {constraint.table} VALIDATE CONSTRAINT {name}",
            ]
        return statements

    def unmade(self) -> list[str]:
        """The statements that take them away again, last things first."""
        statements = [
            f"ALTER TABLE {constraint.table} DROP CONSTRAINT {name}" for name, constraint in self.constraints.items()
        ]
        if self.not_null:
            statements.insert(0, f"ALTER TABLE {self.column.table} DROP CONSTRAINT {self.not_null}")
        return [
            *reversed(statements),
            *(f"DROP INDEX CONCURRENTLY {self.column.place}{name}" for name in reversed(self.indexes)),
        ]

    def references_dropped(self) -> list[str]:
        """The statements that drop the foreign keys which refer to the column under its name."""
        return [
            f"ALTER TABLE {each.table} DROP CONSTRAINT {each.name}" for each in self.constraints.values() if each.refers
        ]

    def primary_taken(self) -> list[str]:
        """The statements that make `new` NOT NULL and the primary key; the validated check spares reading the rows."""
        table, statements = self.column.table, []
        if self.not_null:
            statements += [
                f"ALTER TABLE {table} ALTER COLUMN {self.new} SET NOT NULL",
                f"ALTER TABLE {table} DROP CONSTRAINT {self.not_null}",
            ]
        if self.primary:
            name, index = self.primary
            statements += [
                f"ALTER TABLE {table} DROP CONSTRAINT {index.name}",
                f"ALTER TABLE {table} ADD CONSTRAINT {index.name} PRIMARY KEY USING INDEX {name}",
            ]
        return statements

    def definition(self, constraint: Constraint) -> str:
        """The definition of a constraint for the new column."""
        old, definition = self.column.name, constraint.definition
        if definition.startswith("FOREIGN KEY"):
            return of_foreign_key(definition, old, self.new, refers=constraint.refers)
        return renamed(definition, old, self.new)

    def index_again(self, name: str, index: Index) -> list[str]:
        """The statements that make one of the new indexes while nobody else can use the table."""
        return self._index(name, index, "")

    def _index(self, name: str, index: Index, way: str) -> list[str]:
        unique = "UNIQUE " if index.is_unique else ""
        rest = renamed(index.rest, self.column.name, self.new)
        made = f"CREATE {unique}INDEX {way}{name} ON {self.column.table} USING {rest}"
        return [made, *index.commented(f"{self.column.place}{name}")]
