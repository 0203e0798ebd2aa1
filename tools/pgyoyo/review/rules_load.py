"""The rules about statements that keep others waiting on purpose: pauses, whole-table maintenance, server settings."""

from collections.abc import Sequence

from pgyoyo.review.catalog_facts import Facts
from pgyoyo.review.commands import calls, enum
from pgyoyo.review.evidence import Evidence, held, lock_hit
from pgyoyo.review.judging import Judged, each_command, listed
from pgyoyo.sql import tree

_SLEEPS = ("pg_sleep", "pg_sleep_for", "pg_sleep_until")


def sleeps(evidence: Sequence[Evidence], _: Facts) -> Judged:
    """Pauses while a strong lock is held."""
    for each, node in each_command(evidence):
        name = next((name for name, _ in calls(node) if name in _SLEEPS), None)
        locks = [*each.held, *each.strong]
        if name and locks:
            lock = max(locks, key=lambda lock: lock.strength)
            taker = next((earlier for earlier in each.before if earlier.statement.number == lock.taken), each)
            yield each, ("sleep-under-lock", f"{name} waits while {held(lock, taker)}", lock.relation)


def whole_tables(evidence: Sequence[Evidence], _: Facts) -> Judged:
    """VACUUM FULL and CLUSTER of tables that existed."""
    for each, node in each_command(evidence):
        full = tree.kind(node) == "VacuumStmt" and any(_is_full(option.def_elem) for option in node.options)
        if not full and tree.kind(node) != "ClusterStmt":
            continue
        tables = [*each.statement.work.rewritten] or [lock.relation for lock in each.strong]
        if tables or not each.asks.names:
            names = listed([table.name for table in tables]) or "every table of the database"
            are, its = ("are", "their") if len(tables) > 1 else ("is", "its")
            what = f"{names} {are} copied with all {its} indexes, under ACCESS EXCLUSIVE"
            yield each, ("vacuum-full" if full else "cluster", what, tables[0] if tables else None)


def detaches(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """DETACH PARTITION without CONCURRENTLY."""
    for each, node in each_command(evidence):
        for command in node.cmds if tree.kind(node) == "AlterTableStmt" else ():
            change = command.alter_table_cmd
            table = facts.existing(node.relation)
            if table and enum(change, "subtype") == "AT_DetachPartition":
                given = getattr(change, "def").partition_cmd
                if not given.concurrent:
                    what = f"ACCESS EXCLUSIVE on {table.name}, for {given.name.relname}: blocks reads and writes"
                    rule = "detach-beside-default" if table.has_default else "detach-not-concurrently"
                    yield each, (rule, what, facts.relation(table.oid))


def without_a_way(evidence: Sequence[Evidence], _: Facts) -> Judged:
    """Statements for which PostgreSQL has no way that blocks less: on indexes of partitioned tables, and on domains."""
    for each, node in each_command(evidence):
        if tree.kind(node) == "DropStmt" and enum(node, "remove_type") == "OBJECT_INDEX":
            for lock in each.heads:
                if lock.relation.kind == "partitioned table":
                    yield each, lock_hit("drop-partitioned-index", lock)
        if tree.kind(node) == "AlterDomainStmt" and node.subtype == "V":
            for lock in each.heads:
                yield each, lock_hit("validate-domain-scans", lock)


def server_settings(evidence: Sequence[Evidence], _: Facts) -> Judged:
    """ALTER SYSTEM."""
    for each, node in each_command(evidence):
        if tree.kind(node) == "AlterSystemStmt":
            name = node.setstmt.name or "every setting"
            yield (
                each,
                ("alter-system", f"{name} changes in postgresql.auto.conf, for every database of the server", None),
            )


def _is_full(option: tree.Node) -> bool:
    value = tree.unwrap(option.arg) if option.HasField("arg") else None
    text = str(getattr(value, "sval", getattr(value, "ival", ""))).lower()
    return option.defname == "full" and text not in ("off", "false", "0")


LOAD = (sleeps, whole_tables, detaches, without_a_way, server_settings)
