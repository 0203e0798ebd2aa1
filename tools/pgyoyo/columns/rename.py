"""The way of a column to another name: a second column of that name, which both releases may write, then the old one goes."""

from collections.abc import Callable, Iterator

from pgyoyo.columns.facts import Column
from pgyoyo.columns.keys import Keys
from pgyoyo.columns.pair import Pair
from pgyoyo.columns.retype import identity_moved
from pgyoyo.columns.sync import Sync, backfill_directives, without_triggers


class Rename:
    """The pairs for a column that is to have the name `new`, as SQL; `free` gives names, as SQL, that nothing has."""

    def __init__(self, column: Column, new: str, free: Callable[[str], str]) -> None:
        self.column, self.new = column, new
        self.keys = Keys.of(column, new, free, "_new")
        self.in_step = free(f"{column.bare_table}_{column.bare}_is_the_same") if column.has_equality else ""
        self.sequence = free(f"{column.bare_table}_{column.bare}_new_seq") if column.identity else ""
        self.sync = Sync(column, free)

    def pairs(self) -> Iterator[Pair]:
        """The four steps, in order."""
        t, c, n = self.column.table, self.column.name, self.new
        yield Pair(
            "add", f"Add {n} to {t}, the new name of {c}, and keep both in step.",
            f"The old release writes {c}, the new one {n}; the trigger copies the one that was given to the other.",
            [f"ALTER TABLE {t} ADD COLUMN {n} {self.column.type}", self.sync.function(self._both_ways()),
             self.sync.trigger()],
            [*self.sync.dropped(), f"ALTER TABLE {t} DROP COLUMN {n}"],
            ("phase: expand",), f"Drop {n}.", (f"lossy: {n}, whose values are those of {c}",),
        )  # fmt: skip
        where = f"{n} IS DISTINCT FROM {c}" if self.column.has_equality else f"{n} IS NULL AND {c} IS NOT NULL"
        yield Pair(
            "fill", f"Fill {n} in the rows that were there before.", "In short transactions, beside the application.",
            [f"UPDATE {t} SET {n} = {c} WHERE {where}"], ["SELECT 1"],
            ("phase: expand", *backfill_directives(self.column)),
            f"Nothing to undo: the values of {n} go with the column.", (f"lossy: {n} stays filled",),
        )  # fmt: skip
        yield self._check()
        yield self._drop()

    def _both_ways(self) -> str:
        c, n = self.column.name, self.new
        return (
            f"    IF TG_OP = 'INSERT' THEN\n"
            f"        -- A release that gives no {n} is the old one, or leaves it to the default.\n"
            f"        IF NEW.{n} IS NULL THEN\n            NEW.{n} := NEW.{c};\n"
            f"        ELSE\n            NEW.{c} := NEW.{n};\n        END IF;\n"
            f"    ELSIF {self._differ(f'NEW.{n}', f'OLD.{n}')} THEN\n        NEW.{c} := NEW.{n};\n"
            f"    ELSE\n        NEW.{n} := NEW.{c};\n    END IF;"
        )

    def _differ(self, first: str, second: str) -> str:
        cast = "" if self.column.has_equality else "::text"
        return f"{first}{cast} IS DISTINCT FROM {second}{cast}"

    def _check(self) -> Pair:
        t, c, n = self.column.table, self.column.name, self.new
        made, unmade = self.keys.made(), self.keys.unmade()
        if self.in_step:
            made = [
                f"ALTER TABLE {t} ADD CONSTRAINT {self.in_step} CHECK ({n} IS NOT DISTINCT FROM {c}) NOT VALID",
                f"ALTER TABLE {t} VALIDATE CONSTRAINT {self.in_step}",
                *made,
            ]
            unmade = [*unmade, f"ALTER TABLE {t} DROP CONSTRAINT {self.in_step}"]
        return Pair(
            "check", f"Check that {n} is {c} in every row, and give it the indexes and constraints of {c}.",
            "Each is built while others read and write.",
            made or ["SELECT 1"], unmade or ["SELECT 1"], ("phase: expand", "transactional: false"),
            f"Drop the indexes and constraints of {n}.", ("transactional: false",),
        )  # fmt: skip

    def _drop(self) -> Pair:
        column, keys = self.column, self.keys
        t, c, n = column.table, column.name, self.new
        apply = [*self.sync.dropped(), *keys.references_dropped(), *keys.primary_taken()]
        apply += self._default_moved()
        apply += [*column.commented(n), f"ALTER TABLE {t} DROP COLUMN {c}"]
        for name, index in keys.indexes.items():
            if index.is_constraint and not index.is_primary:
                apply.append(f"ALTER TABLE {t} ADD CONSTRAINT {index.name} UNIQUE USING INDEX {name}")
            elif not index.is_primary:
                apply.append(f"ALTER INDEX {column.place}{name} RENAME TO {index.name}")
        apply += [
            f"ALTER TABLE {each.table} RENAME CONSTRAINT {name} TO {each.name}"
            for name, each in keys.constraints.items()
        ]
        return Pair(
            "drop", f"Drop {c}, whose values are in {n}, and the trigger.",
            f"Only once the old release runs nowhere: nothing may use {c} any more.",
            apply, self._dropped_back(), ("phase: contract",),
            f"Add {c} again, filled from {n}.\n--\n-- All rows are written in one transaction, and the keys are built again.",
            (f"lossy: {c} is the last column then",),
        )  # fmt: skip

    def _default_moved(self) -> list[str]:
        column, t = self.column, self.column.table
        if column.identity:
            return list(identity_moved(column, column.name, self.new, self.sequence))
        if column.default is None:
            return []
        owned = (
            [f"ALTER SEQUENCE {column.place}{column.sequence_name} OWNED BY {t}.{self.new}"] if column.sequence else []
        )
        return [*owned, f"ALTER TABLE {t} ALTER COLUMN {self.new} SET DEFAULT {column.default}"]

    def _dropped_back(self) -> list[str]:
        column, keys = self.column, self.keys
        t, c, n = column.table, column.name, self.new
        back = [
            f"ALTER TABLE {each.table} DROP CONSTRAINT {each.name}"
            if each.refers
            else f"ALTER TABLE {each.table} RENAME CONSTRAINT {each.name} TO {name}"
            for name, each in keys.constraints.items()
        ]
        for name, index in keys.indexes.items():
            if index.is_constraint:
                back.append(f"ALTER TABLE {t} DROP CONSTRAINT {index.name}")
            else:
                back.append(f"ALTER INDEX {column.place}{index.name} RENAME TO {name}")
        back.append(f"ALTER TABLE {t} ADD COLUMN {c} {column.type}")
        back += without_triggers(column, f"UPDATE {t} SET {c} = {n}")
        if column.identity:
            back += identity_moved(column, n, c, self.sequence)
        elif column.default is not None:
            if column.sequence:
                back.append(f"ALTER SEQUENCE {column.place}{column.sequence_name} OWNED BY {t}.{c}")
            back += [
                f"ALTER TABLE {t} ALTER COLUMN {n} DROP DEFAULT",
                f"ALTER TABLE {t} ALTER COLUMN {c} SET DEFAULT {column.default}",
            ]
        back += [*column.commented(c), *column.uncommented(n)]
        if keys.not_null:
            back += [
                f"ALTER TABLE {t} ALTER COLUMN {c} SET NOT NULL", f"ALTER TABLE {t} ALTER COLUMN {n} DROP NOT NULL",
                f"ALTER TABLE {t} ADD CONSTRAINT {keys.not_null} CHECK ({n} IS NOT NULL)",
            ]  # fmt: skip
        if self.in_step:
            back.append(f"ALTER TABLE {t} ADD CONSTRAINT {self.in_step} CHECK ({n} IS NOT DISTINCT FROM {c})")
        for name, index in keys.indexes.items():
            unique = "UNIQUE " if index.is_unique else ""
            back.append(f"CREATE {unique}INDEX {index.name} ON {t} USING {index.rest}")
            back += index.commented(f"{column.place}{index.name}")
            if index.is_constraint:
                kind = "PRIMARY KEY" if index.is_primary else "UNIQUE"
                back += [
                    f"ALTER TABLE {t} ADD CONSTRAINT {index.name} {kind} USING INDEX {index.name}",
                    *keys.index_again(name, index),
                ]
        for name, each in keys.constraints.items():
            back.append(f"ALTER TABLE {each.table} ADD CONSTRAINT {each.name} {each.definition}")
            if each.refers:
                back.append(f"ALTER TABLE {each.table} ADD CONSTRAINT {name} {keys.definition(each)}")
        return [*back, self.sync.function(self._both_ways()), self.sync.trigger()]
