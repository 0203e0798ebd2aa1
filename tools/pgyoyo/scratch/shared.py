"""What all databases of a server share, as it was before migrations ran in scratch databases, and again afterwards.

Static checks see `CREATE ROLE` in a file; they don't see what a function executes. So roles, their settings and memberships,
databases with their owners and privileges, tablespaces, comments on them and privileges on parameters are compared. Others
may change them at the same time: only a change that a transaction of ours wrote, or whose name stands in a file that ran, is
undone.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import Connection, sql

from pgyoyo.console import Console
from pgyoyo.migrations.migration import Migration
from pgyoyo.queries import named
from pgyoyo.scratch import anew, databases, lent, turns

_QUERIES = Path(__file__).with_name("shared.sql")
# A row's xmin is the transaction's number without its epoch.
_EPOCH = 1 << 32
_SUBTRANSACTION = (b"exception", b"savepoint")

# What such words change all databases of the server share: two copies at once would collide, also where code has them.
_REACHES_OUT = re.compile(
    rb"(?i)\b(?:create|alter|drop|reassign)\s+(?:role|user(?!\s+mapping)|group|tablespace|database|system|owned|subscription)\b"
    rb"|advisory|replication_slot"
)
# As good as no end, which can't be written.
_FOREVER = " VALID UNTIL 'infinity'"

# The transactions of this process in scratch databases, each with its server's address.
_ours: set[tuple[str, int, int]] = set()


class _Key(NamedTuple):
    kind: str
    name: str | None
    second: str | None
    third: str | None

    def __str__(self) -> str:
        match self.kind:
            case "setting":
                whose = [f"role {self.name}" if self.name else "", f"database {self.second}" if self.second else ""]
                return f"setting {self.third} of {' in '.join(filter(None, whose)) or 'all roles'}"
            case "membership":
                by = f" (granted by {self.third})" if self.third else ""
                return f"membership of {self.second} in {self.name}{by}"
            case "owner":
                return f"owner of database {self.name}"
            case "privilege":
                return f"privilege {self.third} of {self.second} on database {self.name}"
            case "comment":
                return f"comment on {str(self.second).lower()} {self.name}"
            case "parameter":
                return f"privilege {self.third} of {self.second} on parameter {self.name}"
        return f"{self.kind} {self.name}"


class _Row(NamedTuple):
    value: str
    transaction: int | None


_State = Mapping[_Key, _Row]


def reaches_out(order: Iterable[Migration]) -> bool:
    """Whether files of the migrations, as far as their text shows, must not run in two databases of a server at once."""
    texts = (file.data for migration in order for file in (migration.apply, migration.rollback) if file)
    return any(map(_REACHES_OUT.search, texts))


def note_transactions(conn: Connection, schema: str) -> None:
    """Remember which transactions ran migrations in a scratch database, by the log of its ledger in `schema`."""
    if not conn.closed and conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
        query = f"SELECT DISTINCT xmin::pg_catalog.text::bigint FROM {schema}._yoyo_log"  # noqa: S608 - quoted by the server
        try:
            rows = conn.execute(query.encode()).fetchall()
        except psycopg.Error:  # no ledger was made, or a migration dropped its schema
            return
        _ours.update((conn.info.host, conn.info.port, number) for (number,) in rows)


def note_transaction(conn: Connection) -> None:
    """Remember the open transaction of a scratch database."""
    row = conn.execute("SELECT pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text::bigint").fetchone()
    if row and row[0] is not None:
        _ours.add((conn.info.host, conn.info.port, row[0] % _EPOCH))


@contextmanager
def restored(admin: Connection, migrations: Iterable[Migration], console: Console) -> Iterator[None]:
    """Undo at the end what the migrations changed outside of their scratch databases, which are gone by then.

    What can't be undone is shown as a warning, and what somebody else may have changed as a note.
    """
    migrations = tuple(migrations)
    with turns.taken(admin, migrations, console):
        before = _read(admin)
        try:
            yield
        finally:
            after = {} if admin.closed else _read(admin)
            if after and _changed(before, after):
                files = [file for m in migrations for file in (m.apply, m.rollback) if file]
                _restore(admin, before, after, [file.data for file in files], console)


def watched(admin: Connection, migrations: Iterable[Migration]) -> Callable[[], bool]:
    """What tells later whether migrations that ran since may have changed what all databases of the server share."""
    before = _read(admin)
    texts = [migration.apply.data for migration in migrations]

    def may_have_changed() -> bool:
        after = _read(admin)
        changed = _changed(before, after)
        hidden = any(word in text.lower() for text in texts for word in _SUBTRANSACTION)
        return any(hidden or _is_ours(admin, _row(after, key)) or _mentioned(key, texts) for key in changed)

    return may_have_changed


def roles_made(admin: Connection, migrations: Iterable[Migration]) -> Callable[[], list[str]]:
    """What gives later the roles that migrations made, which ran since."""
    before = _read(admin)
    texts = [file.data for m in migrations for file in (m.apply, m.rollback) if file]

    def made() -> list[str]:
        new = [(key, row) for key, row in _read(admin).items() if key.kind == "role" and key not in before]
        return [str(key.name) for key, row in new if _is_ours(admin, row) or _mentioned(key, texts)]

    return made


def _read(admin: Connection) -> _State:
    queries = named(_QUERIES)
    row = admin.execute("SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')").fetchone()
    names = ["roles" if row and row[0] else "visible_roles", "others"]
    names += ["memberships_by_grantor" if admin.info.server_version >= 160000 else "memberships"]
    names += ["parameters"] if admin.info.server_version >= 150000 else []
    rows = (
        fields for name in names for fields in admin.execute(queries[name].encode(), {"mark": lent.MARK}).fetchall()
    )
    return {_Key(*fields[:4]): _Row(fields[4], fields[5]) for fields in rows}


def _changed(before: _State, after: _State) -> list[_Key]:
    """What differs; databases that came or went are others' work, since no transaction makes or drops one."""
    there = [{key.name for key in state if key.kind == "database"} for state in (before, after)]
    others = there[0] ^ there[1]
    keys = before.keys() | after.keys()
    return [
        key
        for key in keys
        if _value(before, key) != _value(after, key)
        and not (key.kind in ("database", "owner", "privilege") and key.name in others)
    ]


def _restore(admin: Connection, before: _State, after: _State, texts: list[bytes], console: Console) -> None:
    changed = _changed(before, after)
    gone = {key.name for key in changed if key.kind == "role" and key not in after and _mentioned(key, texts)}
    ours = [
        key for key in sorted(changed, key=lambda key: (_rank(key, before, after), str(key)))
        if _is_ours(admin, _row(after, key)) or _mentioned(key, texts) or {key.name, key.second} & gone
    ]  # fmt: skip
    reasons: dict[_Key, str] = {}
    for key in ours:
        try:
            with admin.transaction():
                for statement in _undoing(key, _value(before, key), _value(after, key)):
                    admin.execute(statement)
        except psycopg.Error as error:
            reasons[key] = error.diag.message_primary or str(error)
    now = _read(admin) if ours else after
    remaining = [f"{key} ({reasons.get(key, 'undoing it changed nothing')})" for key in ours
                 if _value(now, key) != _value(before, key)]  # fmt: skip
    if remaining:
        roles = [str(key.name) for key in before if key.kind == "role"]
        is_set = any(key.kind == "setting" for key in before)
        marked = not is_set and anew.mark(admin, roles, limit=databases.LIMIT)
        anew_words = (
            "; so the data of this server, which held nothing else, is removed and created again" if marked else ""
        )
        console.warn(
            "the migrations changed what all databases of the server share, and it stays: "
            f"{'; '.join(remaining)}{anew_words}"
        )
    # Nothing tells the number of a subtransaction, as a block with EXCEPTION has one, from those of others.
    doubtful = [str(key) for key in changed if key not in ours]
    if doubtful and any(word in text.lower() for text in texts for word in _SUBTRANSACTION):
        console.note(
            f"changed on the server meanwhile, by the migrations or by somebody else: {'; '.join(sorted(doubtful))}"
        )


def _is_ours(admin: Connection, row: _Row | None) -> bool:
    return (
        row is not None and row.transaction is not None and (admin.info.host, admin.info.port, row.transaction) in _ours
    )


def _row(state: _State, key: _Key) -> _Row | None:
    """The row of the server's that has it, or had it: several settings, or privileges, stand in one."""
    if key in state or key.kind not in ("setting", "privilege", "parameter"):
        return state.get(key)
    kind = "database" if key.kind == "privilege" else key.kind
    alike = (
        row
        for each, row in state.items()
        if each[:2] == (kind, key.name) and (kind != "setting" or each.second == key.second)
    )
    return next(alike, None)


def _value(state: _State, key: _Key) -> str | None:
    return state[key].value.replace(_FOREVER, "") if key in state else None


def _rank(key: _Key, before: _State, after: _State) -> int:
    """Roles that are gone come first, since others need them, and new ones last."""
    if key.kind == "role":
        return 0 if key not in after else 3 if key not in before else 1
    return 2 if key.kind == "tablespace" else 1


def _mentioned(key: _Key, texts: list[bytes]) -> bool:
    """Whether a file that ran names it; of a setting also whose it is, a role's, a database's, or both."""
    names = {"setting": [key.name, key.second, key.third], "membership": [key.name, key.second]}.get(
        key.kind, [key.name]
    )
    return all(any(name.encode() in text for text in texts) for name in names if name)


def _undoing(key: _Key, value: str | None, now: str | None) -> Iterator[sql.Composed | sql.SQL]:
    """The statements that bring back `value` in place of what is there `now`; None: nothing."""
    name, second = sql.Identifier(key.name or ""), sql.Identifier(key.second or "")
    match key.kind:
        case "role" if value is None:
            yield sql.SQL("DROP OWNED BY {}").format(name)
            yield sql.SQL("DROP ROLE {}").format(name)
        case "role":
            forever = _FOREVER if "VALID UNTIL" in (now or "") and "VALID UNTIL" not in (value or "") else ""
            verb = sql.SQL("CREATE" if now is None else "ALTER")
            yield sql.SQL("{} ROLE {} WITH {}").format(verb, name, _raw(f"{value}{forever}"))
        case "setting":
            whose = sql.SQL("ROLE {} IN DATABASE {}").format(name, second) if key.name and key.second else (
                sql.SQL("ROLE {}").format(name) if key.name else
                sql.SQL("DATABASE {}").format(second) if key.second else sql.SQL("ROLE ALL"))  # fmt: skip
            setting = sql.SQL(".").join(map(sql.Identifier, (key.third or "").split(".")))
            if value is None:
                yield sql.SQL("ALTER {} RESET {}").format(whose, setting)
            else:
                yield sql.SQL("SELECT pg_catalog.set_config({}, {}, true)").format(key.third, value)
                yield sql.SQL("ALTER {} SET {} FROM CURRENT").format(whose, setting)
        case "membership":
            by = sql.SQL(" GRANTED BY {}").format(sql.Identifier(key.third)) if key.third else sql.SQL("")
            if now is not None:
                yield sql.SQL("REVOKE {} FROM {}{}").format(name, second, by)
            if value is not None:
                yield sql.SQL("GRANT {} TO {}{}{}").format(name, second, _raw(value), by)
        case "database" if value is not None:
            yield sql.SQL("ALTER DATABASE {} WITH {}").format(name, _raw(value))
        case "owner" if value is not None:
            yield sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, _raw(value))
        case "comment":
            yield sql.SQL("COMMENT ON {} {} IS {}").format(_raw(key.second), name, value)
        case "parameter" | "privilege":
            to = sql.SQL("PUBLIC") if key.second == "public" else second
            noun = sql.SQL("PARAMETER" if key.kind == "parameter" else "DATABASE")
            what = sql.SQL("{} ON {} {}").format(_raw(key.third), noun, name)
            if now is not None:
                yield sql.SQL("REVOKE {} FROM {}").format(what, to)
            if value is not None:
                yield sql.SQL("GRANT {} TO {}{}").format(what, to, _raw(value))
        case "tablespace" if value is None:
            yield sql.SQL("DROP TABLESPACE {}").format(name)
        case _:
            yield sql.SQL("DO $$ BEGIN RAISE 'it has to be restored by hand'; END $$")


def _raw(text: str | None) -> sql.SQL:
    """Text that the server wrote, quoted where needed."""
    return sql.SQL(text or "")
