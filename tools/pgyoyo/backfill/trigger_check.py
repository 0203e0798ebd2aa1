"""A few rows updated and rolled back, to see what triggers would do before it is done."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from pgyoyo.backfill.batch import Batches
from pgyoyo.backfill.pacing import Cursor
from pgyoyo.backfill.places import at
from pgyoyo.backfill.queries import queries
from pgyoyo.backfill.quick_check import rows_that_change_nothing_else
from pgyoyo.backfill.tables import Table, Targets
from pgyoyo.backfill.trigger_words import trigger_words
from pgyoyo.identifiers import quoted
from pgyoyo.sql import tree
from pgyoyo.sql.batched import RefusedError
from pgyoyo.sql.insert import BatchedInsert
from pgyoyo.units import number

# Rows of a sample: the first of all, and those of each batch where the table has triggers.
ROWS = 10
_ROWS_OF_A_BATCH = 3
# Pages at the begin, in the middle and at the end of a table where rows are tried.
_WINDOW = 64


@dataclass(slots=True)
class TriggerCheck:
    """Tries the statement on rows of each table: before the first batch and, where it has triggers, before each."""

    batches: Batches
    targets: Targets
    _passed: set[int] = field(default_factory=set)

    def sampled(self, table: Table, member: str | None) -> bool:
        """Whether there is a row to update in a sample: of the first, middle and last pages, and of the rows for which each
        trigger's WHEN is true. A note names the triggers. Raises RefusedError as `passed` does.
        """
        starts = sorted({0, max(0, (table.pages - _WINDOW) // 2), max(0, table.pages - _WINDOW)})
        windows = [Cursor(start, page=start).condition(start + _WINDOW, 1) for start in starts]
        if table.pages <= _WINDOW:
            windows = ["true"]
        tried = [self._tried(table, member, which, ROWS) for which in windows]
        tried += [self._tried(table, member, when, ROWS) for when in self._whens(table)]
        names = self._names(table)
        if names and any(tried):
            effects = sorted({effect for sample in tried if sample for effect in sample.effects})
            rows = sum(sample.rows for sample in tried if sample)
            self.batches.runner.observer.note(
                f"{self.batches.migration.id}: triggers of {self._table(table)}: {self._words(table)}; "
                f"tried on {number(rows, 'row')}: " + ("; ".join(effects) or "they change nothing else")
            )
        return any(tried)

    def passed(self, table: Table, member: str | None, which: str, *, part: str = "") -> bool:
        """Whether there is a row to update among those that `which` selects; some of them are tried, if there are any, those
        that `part` selects.

        Raises RefusedError where a trigger changes more than the UPDATE sets, or, before the first batch, undoes it. All of
        it is rolled back, except values of sequences, which PostgreSQL never gives back.
        """
        if isinstance(self.batches.slice, BatchedInsert):
            return True  # what its batches do is inserted in one place, whichever rows they read
        if table.triggers and self.batches.limits.triggers != "fire":
            sample = self._of_a_batch(table, member, part) if part else None
            sample = sample or self._of_a_batch(table, member, which)
            if sample and table.oid in self._passed:
                for when in self._whens(table):
                    self._of_a_batch(table, member, f"{which} AND {when}")
            elif sample:
                self._tried(table, member, which, ROWS)
                self._passed.add(table.oid)
            return bool(sample)
        if table.oid in self._passed:
            return True
        sample = self._tried(table, member, which, ROWS)
        if sample and sample.rows:
            self._passed.add(table.oid)
        return bool(sample)

    def _of_a_batch(self, table: Table, member: str | None, which: str) -> "_Sample | None":
        """What the UPDATE does to some rows of a batch; those before the first one are looked at closely."""
        if self.batches.state.batches and table.oid in self._passed:
            rows = rows_that_change_nothing_else(self.batches, table, member, which, _ROWS_OF_A_BATCH)
            if rows is not None:
                return _Sample(rows) if rows else None
        return self._tried(table, member, which, _ROWS_OF_A_BATCH)

    def _tried(self, table: Table, member: str | None, which: str, most: int) -> "_Sample | None":
        """What the UPDATE does to rows that `which` selects; None if none of them is to be updated."""
        conn = self.batches.runner.conn
        try:
            query = self.batches.slice.remaining(member=member, limit=most, which=which)
            [rows] = self._results("BEGIN", *self.batches.settings(), query)
            places = list(dict.fromkeys(row[0] for row in rows))
            if not places:
                return None
            return (self._try if self.batches.slice.columns else self._try_all)(table, member, places)
        except psycopg.OperationalError:
            if conn.closed:
                raise
            return _Sample()  # no lock in time, or too long: the batch itself is more patient, or smaller
        except psycopg.Error:
            return _Sample()  # the batch itself will fail, with its place in the file
        finally:
            if not conn.closed:
                conn.execute("ROLLBACK")

    def _whens(self, table: Table) -> list[str]:
        """The WHEN of each trigger, as a condition over {ctid}'s row before and after the UPDATE."""
        if isinstance(self.batches.slice, BatchedInsert):
            return []
        update, new = self.batches.slice, self.batches.slice.new_values()
        alias = quoted(update.alias)
        row = [f"{alias}.{quoted(name)}" for name in table.others]
        row += [f"({value}) AS {quoted(name)}" for name, value in new.items()]
        conditions = []
        for text in table.definitions:
            trigger = tree.parse(text)
            if trigger is not None and trigger.HasField("when_clause"):
                when = tree.text(trigger.when_clause)
                source = f"(SELECT {alias}.*) AS old CROSS JOIN (SELECT {', '.join(row)}) AS new"
                conditions.append(f"EXISTS (SELECT FROM {source} WHERE {when})".replace("{", "{{").replace("}", "}}"))
        return conditions

    def _try(self, table: Table, member: str | None, places: Sequence[str]) -> "_Sample":
        update = self.batches.slice
        # Later on, rows that stay are counted at the end: what one UPDATE leaves is no reason to stop half-way.
        begun = self.batches.state.batches > 0
        fires = begun or (self.batches.limits.triggers == "fire" and bool(table.triggers))
        writes = self._written()
        others = ", ".join(f"{quoted(name)}::pg_catalog.text" for name in table.others) or "NULL"
        changed: Counter[str] = Counter()
        example: dict[str, tuple[str | None, str | None]] = {}
        rows = kept = 0
        own = f"SELECT {others} FROM ONLY {table.name} WHERE ctid OPERATOR(pg_catalog.=) %s::pg_catalog.tid"  # noqa: S608 - quoted by the server
        columns = (
            ", ".join(f"{quoted(update.alias)}.{quoted(name)}::pg_catalog.text" for name in table.others) or "NULL"
        )
        for place in places:
            statement = update.batch(f"{{ctid}} OPERATOR(pg_catalog.=) '{place}'", member=member, waiting=True)
            statement += f"\nRETURNING {update.ctid}::pg_catalog.text, {columns}"
            # One message for both, since this stands before each batch.
            before, done = self._results(own.replace("%s", f"'{place}'"), statement)
            if not done or not before:
                if table.triggers and before:
                    kept += 1
                    if not fires:
                        self._refuse(table, "keeps rows from being updated")
                continue
            rows += 1
            still = update.remaining(member=member, limit=1, which=f"{{ctid}} OPERATOR(pg_catalog.=) '{done[0][0]}'")
            if not begun and self._results(still)[0]:
                kept += 1
                if not fires:
                    raise RefusedError(update.line, self._stays(table, member, done[0][0]))
            for name, old, new in zip(table.others, before[0], done[0][1:], strict=False):
                if old != new:
                    changed[name] += 1
                    example.setdefault(name, (old, new))
        effects: list[str] = []
        for name, count in changed.items():
            old, new = example[name]
            effects.append(f"also changes column {name} ({count} of {rows} rows; {old} → {new})")
        for oid, (name, count) in self._written("SET CONSTRAINTS ALL IMMEDIATE").items():
            more = count - writes.get(oid, ("", 0))[1] - (rows if oid == table.oid else 0)
            if more > 0:
                effects.append(f"also writes to {name}, {number(more, 'row')} for {rows}")
        if effects and not self._allows(table):
            self._refuse(table, effects[0])
        stay = [f"{kept} of the rows satisfy the WHERE afterwards"] if kept else []
        return _Sample(rows, (*stay, *effects))

    def _try_all(self, table: Table, member: str | None, places: Sequence[str]) -> "_Sample":
        """What a DELETE or an INSERT does besides; what foreign keys delete is meant."""
        conn, batched, writes = self.batches.runner.conn, self.batches.slice, self._written()
        rows = conn.execute(batched.batch(at(places), member=member, waiting=True).encode()).rowcount
        kept = max(0, len(places) - rows) if self._names(table) and batched.LOCK else 0
        effects: list[str] = []
        own = -rows
        for oid, (name, count) in self._written("SET CONSTRAINTS ALL IMMEDIATE").items():
            more = count - writes.get(oid, ("", 0))[1]
            if oid in self.targets.cascades:
                continue
            if oid in self.targets.reached:
                own += more
            elif more > 0:
                effects.append(f"also writes to {name}, {number(more, 'row')} for {rows}")
        if own > 0:
            effects.append(f"also writes to {self._table(table)}, {number(own, 'row')} for {rows}")
        if kept:
            effects.insert(0, f"keeps rows from being {batched.DONE}")
        if effects and not self._allows(table):
            self._refuse(table, effects[0])
        return _Sample(rows, tuple(effects))

    def _names(self, table: Table) -> list[str]:
        """The triggers that may fire for a row of the table that is walked."""
        return self.targets.triggers if isinstance(self.batches.slice, BatchedInsert) else table.triggers

    def _allows(self, table: Table) -> bool:
        """Whether the header says what is meant; to skip triggers says nothing of those that fire all the same."""
        return self.batches.limits.triggers == "fire" or (
            self.batches.limits.triggers == "skip" and not self._names(table)
        )

    def _words(self, table: Table) -> str:
        batched = self.batches.slice
        tables = self.targets.reached if isinstance(batched, BatchedInsert) else [table.oid]
        skipping = self.batches.limits.triggers == "skip"
        return trigger_words(self.batches.runner.conn, tables, batched, skipping=skipping)

    def _table(self, table: Table) -> str:
        """The table that has them."""
        batched = self.batches.slice
        return batched.into[1] if isinstance(batched, BatchedInsert) else table.name

    def _stays(self, table: Table, member: str | None, place: str) -> str:
        """Why the row at a place, just updated, may satisfy the WHERE still."""
        conn, update = self.batches.runner.conn, self.batches.slice
        words = "can't run in batches: a row still satisfies the WHERE after it is updated"
        new = update.new_values()
        which = f"{{ctid}} OPERATOR(pg_catalog.=) '{place}'"
        row = conn.execute(update.examples(update.columns, member=member, limit=1, which=which).encode()).fetchone()
        types: dict[str, str] = dict(conn.execute(queries()["types"].encode(), {"oid": table.oid}).fetchall())
        count = len(update.columns)
        differ = [
            f"{name} ({types.get(name, '')}) is {_text(row[index])} where the UPDATE gives {_text(row[2 * count + index])}"
            for index, name in enumerate(update.columns)
            if row and len(row) == 3 * count and row[index] != row[2 * count + index]
        ]
        words += f"; {differ[0]}" if differ else ""
        if table.triggers:
            return f"{words}; {self._who(table)} undoes the change"
        if update.adds_up:
            return f"{words}; {update.adds_up}"
        if not update.from_clause:
            name, value = update.columns[0], row[-count] if row else ""
            kind = types.get(name, "")
            if not differ and kind != "real":
                # A row with NULLs in it, or a collation that takes different words for equal.
                return f"{words}; {name} ({kind}) is {value} then, of which the WHERE is true as well"
            words += "" if differ else f"; {name} ({kind}) can't hold the value {value} exactly"
            advice = f"{new.get(name, '…')}::{kind}"
            return f"{words}. Write the value as the column holds it, in the SET and in the WHERE: {advice}"
        return f"{words}: several rows of its FROM match it; let one match, as with DISTINCT ON or an aggregate"

    def _results(self, *statements: str) -> list[list[Any]]:
        """The rows of those of the statements that give any, sent as one message."""
        cursor = self.batches.runner.conn.execute("\n;\n".join(statements).encode())
        sets = [cursor.fetchall()] if cursor.description else []
        while cursor.nextset():
            sets += [cursor.fetchall()] if cursor.description else []
        return sets

    def _written(self, *first: str) -> dict[int, tuple[str, int]]:
        """How many rows this transaction has written to each table, once the statements of `first` are done."""
        [rows] = self._results(*first, queries()["others_wrote"])
        own = f"{self.batches.runner.schema}."
        return {oid: (name, count) for oid, name, count in rows if not name.startswith((own + "_pgyoyo", "_pgyoyo"))}

    def _refuse(self, table: Table, what: str) -> None:
        state = "The rows done before stay." if self.batches.state.batches else "Nothing was changed."
        choice = 'Choose in the header: "backfill: batched, triggers skip", or "triggers fire" if that is intended'
        if self.batches.limits.triggers == "skip":
            choice = (
                '"triggers skip" does not skip it (ENABLE ALWAYS or REPLICA); "triggers fire" says that it is intended'
            )
        raise RefusedError(self.batches.slice.line, f"{self._who(table)} {what}. {state} {choice}")

    def _who(self, table: Table) -> str:
        names, name = ", ".join(self._names(table)), self._table(table)
        return f"a trigger of {name} ({names})" if names else f"the {self.batches.slice.VERB.upper()} of {name}"


@dataclass(frozen=True, slots=True)
class _Sample:
    """How many rows were updated and rolled back, and what happened besides; no rows where nothing could be tried."""

    rows: int = 0
    effects: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return True


def _text(value: str | None) -> str:
    return "NULL" if value is None else value
