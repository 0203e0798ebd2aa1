"""Which statements a role may not send any more, or gets other rows for: privileges that are gone, row-level security."""

from collections.abc import Collection, Iterator, Sequence

from psycopg import Connection

from pgyoyo.workload.guards import Guards, Policy, Table
from pgyoyo.workload.reach import Sent
from pgyoyo.workload.targets import Targets

_PUBLIC = "PUBLIC"
_COMMANDS = {"SELECT": "r", "INSERT": "a", "UPDATE": "w", "DELETE": "d"}  # pg_policy.polcmd; * is all of them


def losses(conn: Connection, before: Guards, now: Guards, statements: Sequence[Sent]) -> list[tuple[str, ...]]:
    """What stands in the way of each statement now and did not before, in words; which role sends it is not known."""
    facts = [
        {table.qualified: (table.rights, table.secured, table.policies) for table in guards.tables.values()}
        for guards in (before, now)
    ]
    if facts[0] == facts[1]:
        return [()] * len(statements)
    targets = Targets(conn, now, ())
    return [tuple(dict.fromkeys(_of(statement, targets, before))) for statement in statements]


def _of(statement: Sent, targets: Targets, before: Guards) -> Iterator[str]:
    for relation, privilege in sorted(statement.needs):
        table = targets.table(relation)
        old = before.counterpart(table) if table else None
        if table is None or old is None:
            continue
        for kind, place, roles in (
            ("USAGE", f"the schema of {table.name}", _shut_out(old, table, privilege)),
            (privilege, table.name, _without(old, table, privilege, statement.columns)),
        ):
            if roles:
                yield f"{', '.join(roles)} {'has' if len(roles) == 1 else 'have'} no {kind} on {place} any more"
        yield from _security(old, table, privilege)


def _shut_out(old: Table, table: Table, privilege: str) -> list[str]:
    """The roles that had a privilege on the table and USAGE on its schema, and lost the latter; PUBLIC has it for all."""
    may, had, has = _holders(old, privilege), _holders(old, "USAGE"), _holders(table, "USAGE")

    def holds(role: str, holders: Collection[str]) -> bool:
        return role in holders or _PUBLIC in holders

    return sorted(role for role in {*may, *had} if holds(role, may) and holds(role, had) and not holds(role, has))


def _without(old: Table, table: Table, privilege: str, columns: Collection[str]) -> list[str]:
    """The roles that had a privilege on the table, or on columns that are named, and have it no longer."""
    had, has = _holders(old, privilege), _holders(table, privilege)
    used = {each.name for each in table.columns.values() if each.name in columns or "*" in columns}
    lost = []
    for role, those in had.items():
        left = has.get(role, frozenset()) | has.get(_PUBLIC, frozenset())
        if "" not in left and ("" in those or those & used) and (not used or not used <= left):
            lost.append(role)
    return sorted(lost)


def _holders(table: Table, privilege: str) -> dict[str, frozenset[str]]:
    """The columns on which a role has a privilege, "" for all of the table."""
    columns: dict[str, frozenset[str]] = {}
    for role, kind, column in table.rights:
        if kind == privilege:
            columns[role] = columns.get(role, frozenset()) | {column}
    return columns


def _security(old: Table, table: Table, privilege: str) -> Iterator[str]:
    """What row-level security hides or refuses since then."""
    if not table.secured:
        return
    policies, stood = _policies(table, privilege), _policies(old, privilege)
    limits = sorted(each.name for each in policies - stood if not each.permissive)
    allowed = sorted(each.name for each in policies if each.permissive)
    gone = sorted(each.name for each in stood - policies if each.permissive)
    opened = any(map(_admits_all, policies))
    if not old.secured and not opened:
        names = ", ".join(allowed) or "none"
        yield f"row-level security of {table.name} is on now: all but its owner get what a policy allows ({names})"
    elif limits:
        yield f"policy {', '.join(limits)} of {table.name} restricts the rows that it gets or writes"
    elif old.secured and gone and not opened:
        yield f"policy {', '.join(gone)} of {table.name} is gone or another: it may get fewer rows, or not write its own"


def _policies(table: Table, privilege: str) -> frozenset[Policy]:
    return frozenset(each for each in table.policies if each.command in ("*", _COMMANDS[privilege]))


def _admits_all(policy: Policy) -> bool:
    return policy.permissive and policy.public and policy.using in (None, "true") and policy.check in (None, "true")
