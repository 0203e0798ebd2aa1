"""The way of a column to another type: a second column beside it, filled and kept in step, then the names swapped."""

from collections.abc import Callable, Iterator

from pgyoyo.columns.facts import Column
from pgyoyo.columns.keys import Keys
from pgyoyo.columns.pair import Pair
from pgyoyo.columns.sync import Sync, backfill_directives, without_triggers
from pgyoyo.sql.lexer import folded


class Retype:
    """The pairs for a column that is to be of the type `kind`; `free` gives names, as SQL, that nothing has.

    `has_cast`: a value of the new type can be cast to the old one; `has_equality`: two of them can be compared.
    """

    def __init__(
        self, column: Column, kind: str, free: Callable[[str], str], *, has_cast: bool, has_equality: bool
    ) -> None:
        self.column, self.kind, self.has_cast = column, kind, has_cast
        self.compared = "" if has_equality else "::text"
        self.new, self.old = free(f"{column.bare}_new"), free(f"{column.bare}_old")
        self.keys = Keys.of(column, self.new, free, "_new")
        self.aside = {index.bare: free(f"{index.bare}_old") for index in column.indexes if not index.is_primary}
        self.aside |= {each.bare: free(f"{each.bare}_old") for each in column.constraints if not each.refers}
        self.sequence = free(f"{column.bare_table}_{column.bare}_new_seq") if column.identity else ""
        self.sync = Sync(column, free)

    def pairs(self) -> Iterator[Pair]:
        """The steps, in order."""
        yield self._add()
        yield self._fill()
        made = self.keys.made()
        if made:
            yield Pair(
                "index", f"Give {self.new} the indexes and constraints of {self._c}.",
                "Each is built while others read and write; the next step needs them.",
                made, self.keys.unmade(), ("phase: expand", "transactional: false"),
                f"Drop the indexes and constraints of {self.new}.", ("transactional: false",),
            )  # fmt: skip
        yield self._swap()
        yield self._drop()

    @property
    def _c(self) -> str:
        return self.column.name

    @property
    def _t(self) -> str:
        return self.column.table

    def _add(self) -> Pair:
        return Pair(
            "add", f"Add {self.new} to {self._t}, of the type {self.kind}, and keep it in step with {self._c}.",
            f"It takes the place of {self._c} later; until then only the trigger writes it.",
            [f"ALTER TABLE {self._t} ADD COLUMN {self.new} {self.kind}", self.sync.function(self._forward()),
             self.sync.trigger()],
            [*self.sync.dropped(), f"ALTER TABLE {self._t} DROP COLUMN {self.new}"],
            ("phase: expand",), f"Drop {self.new}.", (f"lossy: {self.new}, whose values are those of {self._c}",),
        )  # fmt: skip

    def _forward(self) -> str:
        return f"    NEW.{self.new} := NEW.{self._c}::{self.kind};"

    def _fill(self) -> Pair:
        value = f"{self._c}::{self.kind}"
        where = f"{self.new} IS DISTINCT FROM {value}"
        if self.compared:
            where = f"{self.new} IS NULL AND {self._c} IS NOT NULL"
        return Pair(
            "fill", f"Fill {self.new} in the rows that were there before.",
            "In short transactions, beside the application.",
            [f"UPDATE {self._t} SET {self.new} = {value} WHERE {where}"], ["SELECT 1"],
            ("phase: expand", *backfill_directives(self.column)),
            f"Nothing to undo: the values of {self.new} go with the column.", (f"lossy: {self.new} stays filled",),
        )  # fmt: skip

    def _swap(self) -> Pair:
        apply = [*self.keys.references_dropped(), *self.keys.primary_taken()]
        for name, index in self.keys.indexes.items():
            aside = self.aside.get(index.bare)
            if aside and index.is_constraint:
                apply += [
                    f"ALTER TABLE {self._t} RENAME CONSTRAINT {index.name} TO {aside}",
                    f"ALTER TABLE {self._t} ADD CONSTRAINT {index.name} UNIQUE USING INDEX {name}",
                ]
            elif aside:
                apply += [_renamed_index(self.column, index.name, aside), _renamed_index(self.column, name, index.name)]
        for name, each in self.keys.constraints.items():
            if each.may_refuse_null:  # as the old column has where it can't hold the value
                apply.append(f"ALTER TABLE {self._t} DROP CONSTRAINT {each.name}")
            elif not each.refers:
                apply.append(f"ALTER TABLE {self._t} RENAME CONSTRAINT {each.name} TO {self.aside[each.bare]}")
            apply.append(f"ALTER TABLE {each.table} RENAME CONSTRAINT {name} TO {each.name}")
        apply += [
            f"ALTER TABLE {self._t} RENAME COLUMN {self._c} TO {self.old}",
            f"ALTER TABLE {self._t} RENAME COLUMN {self.new} TO {self._c}",
            *self._default_moved(self.old, self._c, self.kind),
            *([f"ALTER TABLE {self._t} ALTER COLUMN {self.old} DROP NOT NULL"] if self.column.not_null else ()),
            *self.column.commented(self._c),
            *self.column.uncommented(self.old),
            self.sync.function(self._backward(), again=True),
        ]
        reason = f"lossy: values of {self._c} that {self.column.type} can't hold, which are NULL then"
        if self.column.not_null or any(each.may_refuse_null for each in self.column.constraints):
            reason = f"lossy: rows whose {self._c} {self.column.type} can't hold have to go before this can run"
        return Pair(
            "swap", f"Let the column of the type {self.kind} take the name {self._c}.",
            f"What was {self._c} is {self.old} from now on, and kept in step, so that this can be rolled back. Names and a\n"
            "few entries of the catalog change; no row is read or written.",
            apply, self._swapped_back(), ("phase: contract",),
            f"Let the column of the type {self.column.type} have the name {self._c} again."
            + ("\n--\n-- Keys are built again meanwhile, so nobody can use the table for as long as that takes."
               if self.column.indexes or self.column.not_null else ""),
            (reason,),
        )  # fmt: skip

    def _backward(self) -> str:
        """The body that keeps the old column in step: NULL where its type can't hold the value."""
        value = f"NEW.{self._c}::{self.column.type}" if self.has_cast else f"NEW.{self._c}::text::{self.column.type}"
        back = f"NEW.{self.old}::{self.kind}{self.compared}"
        return (
            f"    -- A value that {self.column.type} can't hold must not keep the row from being written.\n"
            f"    BEGIN\n        NEW.{self.old} := {value};\n"
            f"        IF {back} IS DISTINCT FROM NEW.{self._c}{self.compared} THEN\n            NEW.{self.old} := NULL;\n"
            f"        END IF;\n"
            f"    EXCEPTION WHEN data_exception OR integrity_constraint_violation OR feature_not_supported THEN\n"
            f"        NEW.{self.old} := NULL;\n    END;"
        )

    def _default_moved(self, source: str, target: str, kind: str) -> list[str]:
        """The default, identity or sequence of `source` becomes that of `target`, of the type `kind`."""
        column = self.column
        if column.identity:
            return list(identity_moved(column, source, target, self.sequence))
        if column.default is None:
            return []
        moved = [f"ALTER TABLE {self._t} ALTER COLUMN {source} DROP DEFAULT"]
        default = f"({column.default})::{kind}"
        if column.sequence:
            default = column.default
            if kind in ("smallint", "integer", "bigint"):
                moved.append(f"ALTER SEQUENCE {column.place}{column.sequence_name} AS {kind}")
            moved.append(f"ALTER SEQUENCE {column.place}{column.sequence_name} OWNED BY {self._t}.{target}")
        return [*moved, f"ALTER TABLE {self._t} ALTER COLUMN {target} SET DEFAULT {default}"]

    def _swapped_back(self) -> list[str]:
        column, keys = self.column, self.keys
        back = [
            *keys.references_dropped(),
            f"ALTER TABLE {self._t} RENAME COLUMN {self._c} TO {self.new}",
            f"ALTER TABLE {self._t} RENAME COLUMN {self.old} TO {self._c}",
            *self._default_back(),
            *column.commented(self._c),
            *column.uncommented(self.new),
            self.sync.function(self._forward(), again=True),
        ]
        for name, each in keys.constraints.items():
            if not each.refers:
                back += [
                    f"ALTER TABLE {self._t} RENAME CONSTRAINT {each.name} TO {name}",
                    f"ALTER TABLE {self._t} ADD CONSTRAINT {each.name} {each.definition}"
                    if each.may_refuse_null
                    else f"ALTER TABLE {self._t} RENAME CONSTRAINT {self.aside[each.bare]} TO {each.name}",
                ]
        for name, index in keys.indexes.items():
            aside = self.aside.get(index.bare)
            if index.is_primary:
                back.append(f"ALTER TABLE {self._t} DROP CONSTRAINT {index.name}")
            elif index.is_constraint:
                back += [
                    f"ALTER TABLE {self._t} DROP CONSTRAINT {index.name}",
                    f"ALTER TABLE {self._t} RENAME CONSTRAINT {aside} TO {index.name}",
                    *keys.index_again(name, index),
                ]
            elif aside:
                back += [_renamed_index(column, index.name, name), _renamed_index(column, aside, index.name)]
        if column.not_null:
            back += [
                f"ALTER TABLE {self._t} ALTER COLUMN {self._c} SET NOT NULL",
                f"ALTER TABLE {self._t} ALTER COLUMN {self.new} DROP NOT NULL",
                f"ALTER TABLE {self._t} ADD CONSTRAINT {keys.not_null} CHECK ({self.new} IS NOT NULL)",
            ]
        if keys.primary:
            name, index = keys.primary
            columns = index.rest.removeprefix("btree ")
            back += [
                *keys.index_again(name, index),
                f"ALTER TABLE {self._t} ADD CONSTRAINT {index.name} PRIMARY KEY {columns}",
                *index.commented(f"{column.place}{index.name}"),
            ]
        for name, each in keys.constraints.items():
            if each.refers:
                back += [
                    f"ALTER TABLE {each.table} ADD CONSTRAINT {each.name} {each.definition}",
                    f"ALTER TABLE {each.table} ADD CONSTRAINT {name} {keys.definition(each)}",
                ]
        return back

    def _default_back(self) -> list[str]:
        column = self.column
        if column.default is not None and not column.sequence:
            return [
                f"ALTER TABLE {self._t} ALTER COLUMN {self.new} DROP DEFAULT",
                f"ALTER TABLE {self._t} ALTER COLUMN {self._c} SET DEFAULT {column.default}",
            ]
        return self._default_moved(self.new, self._c, column.type)

    def _drop(self) -> Pair:
        again = [f"ALTER TABLE {self._t} ADD COLUMN {self.old} {self.column.type}"]
        again += [self.sync.function(self._backward()), self.sync.trigger()]
        # The trigger fills the column.
        again += without_triggers(self.column, f"UPDATE {self._t} SET {self.old} = NULL")
        old = Keys(self.column, self.old, {}, {}, "")
        for index in self.column.indexes:
            aside = self.aside.get(index.bare)
            if aside:
                again += old.index_again(aside, index)
            if aside and index.is_constraint:
                again.append(f"ALTER TABLE {self._t} ADD CONSTRAINT {aside} UNIQUE USING INDEX {aside}")
        again += [
            f"ALTER TABLE {self._t} ADD CONSTRAINT {self.aside[each.bare]} {old.definition(each)}"
            for each in self.column.constraints
            if not each.refers and not each.may_refuse_null
        ]
        return Pair(
            "drop", f"Drop {self.old}, the column of the type {self.column.type}, and its trigger.",
            f"Nothing reads {self.old}; after this the way back has to fill it again.",
            [*self.sync.dropped(), f"ALTER TABLE {self._t} DROP COLUMN {self.old}"],
            again, ("phase: contract",),
            f"Add {self.old} again, filled from {self._c}.\n--\n-- All rows are written in one transaction.",
            (f"lossy: {self.old} is the last column then",),
        )  # fmt: skip


def identity_moved(column: Column, source: str, target: str, temporary: str) -> Iterator[str]:
    """The identity of `source` becomes that of `target`, whose sequence goes on where the other one was, under its name."""
    always = "ALWAYS" if column.identity == "a" else "BY DEFAULT"
    options = f" {column.options}" if column.options else ""
    table = column.table
    yield f"ALTER TABLE {table} ALTER COLUMN {target} SET NOT NULL"
    yield (
        f"ALTER TABLE {table} ALTER COLUMN {target} ADD GENERATED {always} AS IDENTITY "
        f"(SEQUENCE NAME {column.place}{temporary}{options})"
    )
    goes_on, was = (_sequence_of(table, name) for name in (target, source))
    yield f"SELECT setval(\n    {goes_on},\n    nextval({was}),\n    false)"
    yield f"ALTER TABLE {table} ALTER COLUMN {source} DROP IDENTITY"
    yield f"ALTER SEQUENCE {column.place}{temporary} RENAME TO {column.sequence_name}"


def _sequence_of(table: str, name: str) -> str:
    """The sequence of a column: the table as SQL in a literal, the column as it stands in the catalog."""
    names = (text.replace("'", "''") for text in (table, folded(name)))
    return "pg_get_serial_sequence({})".format(", ".join(f"'{text}'" for text in names))


def _renamed_index(column: Column, old: str, new: str) -> str:
    return f"ALTER INDEX {column.place}{old} RENAME TO {new}"
