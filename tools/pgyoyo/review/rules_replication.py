"""The rules about what replicas and triggers rely on: the replica identity, primary keys, triggers that are switched off."""

from collections.abc import Sequence

from pgyoyo.review.catalog_facts import Facts
from pgyoyo.review.commands import enum, settings
from pgyoyo.review.evidence import Evidence
from pgyoyo.review.judging import Judged, each_command, listed, maker
from pgyoyo.sql import tree


def identities(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """Published tables whose rows can't be identified afterwards, and tables that lose their primary key."""
    for oid, now in facts.after.tables.items():
        was = facts.before.tables.get(oid)
        if now.published and not now.identified and not (was and was.published and not was.identified):
            what = f"{now.name} is published, and nothing identifies its rows: every UPDATE and DELETE of it fails"
            yield _of_table(evidence, now.name), ("replica-identity-lost", what, facts.relation(oid))
        elif was and was.key and not now.key and not was.partition:
            keys = listed([was.columns[number].name for number in was.key])
            what = f"{was.name} has no primary key any more ({keys})"
            yield _of_table(evidence, was.name), ("drop-primary-key", what, facts.relation(oid))


def switched_off(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """Triggers and rules that don't fire, foreign keys among them, for a while or from then on."""
    seen: set[int] = set()
    for each, node in each_command(evidence):
        if ("session_replication_role", "replica") in settings(node):
            what = "session_replication_role is replica: no foreign key is checked and no trigger fires"
            yield each, ("foreign-keys-unchecked", what, None)
        if tree.kind(node) != "AlterTableStmt" or not (table := facts.existing(node.relation)):
            continue
        relation = facts.relation(table.oid)
        for command in (item.alter_table_cmd for item in node.cmds):
            kind = enum(command, "subtype")
            if kind == "AT_DisableTrigAll":
                what = f"no foreign key of {table.name} is checked, and no trigger of it fires"
                yield each, ("foreign-keys-unchecked", what, relation)
            elif kind in ("AT_DisableTrig", "AT_DisableTrigUser", "AT_DisableRule"):
                word = "rule" if kind == "AT_DisableRule" else "trigger"
                which = f"{word} {command.name}" if command.name else "no trigger of its own"
                off = f"{which} of {table.name} does not fire" if command.name else f"{which} fires on {table.name}"
                yield each, ("trigger-disabled", f"{off}, for any session once this is committed", relation)
            else:
                continue
            seen.add(table.oid)
    left = [(oid, name) for oid, name in facts.after.disabled - facts.before.disabled if oid in facts.before.tables]
    for oid, name in sorted(left):
        if oid not in seen:
            table = facts.before.tables[oid]
            what = f"{name} of {table.name} is still disabled after the migration"
            yield maker(evidence, table.name), ("trigger-disabled", what, facts.relation(oid))


def _of_table(evidence: Sequence[Evidence], name: str) -> Evidence:
    """The statement that took a table's identity away, or published it."""
    for kind in ("index", "constraint", "publication", "table"):
        for each in evidence:
            for change in each.statement.changes:
                if change.kind == kind and (kind == "publication" or _gone(change.identity, name, change.after)):
                    return each
    return maker(evidence, name)


def _gone(identity: str, table: str, after: str | None) -> bool:
    return identity == table or (identity.endswith(f" on {table}") and after is None)


REPLICATION = (identities, switched_off)
