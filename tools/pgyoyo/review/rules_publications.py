"""The rules about logical replication: what a publication no longer sends, and what a subscription no longer receives."""

from collections.abc import Iterator, Sequence

from pgyoyo.review.catalog_facts import Facts, Publication
from pgyoyo.review.commands import enum
from pgyoyo.review.evidence import Evidence
from pgyoyo.review.judging import Judged, each_command, listed, maker
from pgyoyo.sql import tree
from pgyoyo.sql.tree import Node

_STOPS = {
    "ALTER_SUBSCRIPTION_DROP_PUBLICATION": "no longer receives the changes of publication {}",
    "ALTER_SUBSCRIPTION_SET_PUBLICATION": "receives the changes of publication {} only",
    "ALTER_SUBSCRIPTION_CONNECTION": "connects to another publisher, whose slot has to be there",
    "ALTER_SUBSCRIPTION_SKIP": "skips a transaction of its publisher",
}


def publications(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """Publications that send less than before, or by other names, of tables that stay."""
    there = {publication.name: publication for publication in facts.after.publications.values()}
    for oid, was in facts.before.publications.items():
        each = maker(evidence, was.name, "publication")
        for what in _less(was, facts.after.publications.get(oid) or there.get(was.name), facts):
            yield each, ("publication-sends-less", what, None)


def _less(was: Publication, now: Publication | None, facts: Facts) -> Iterator[str]:
    if now is None:
        sent = listed([facts.before.tables[oid].name for oid in sorted(was.tables) if oid in facts.after.tables])
        loss = f"no subscriber gets the changes of {sent}" if sent else "its subscribers stop"
        yield f"publication {was.name} is dropped: {loss}"
        return
    if was.name != now.name:
        yield f"publication {was.name} becomes {now.name}: its subscribers ask for it by the old name"
    if events := [event for event in was.events if event not in now.events]:
        yield f"publication {was.name} no longer sends {listed(events)}"
    if was.root != now.root and any(_is_of_partitions(facts, oid) for oid in was.tables):
        whose = "the partitioned table" if now.root else "each partition"
        yield f"publication {was.name} sends the changes of partitions under the name of {whose} now"
    gone = [
        facts.before.tables[oid].name for oid in sorted(was.tables.keys() - now.tables.keys())
        # Where the root is another one, a partitioned table and its partitions take each other's place.
        if oid in facts.after.tables and (was.root == now.root or not _is_of_partitions(facts, oid))
    ]  # fmt: skip
    if gone:
        yield f"publication {was.name} no longer sends the changes of {listed(gone)}"
    for oid in sorted(was.tables.keys() & now.tables.keys()):
        (columns, rows), (left, kept) = was.tables[oid], now.tables[oid]
        name = facts.after.tables[oid].name
        still = {column.name for column in facts.after.tables[oid].columns.values()}
        if lost := sorted(((columns or frozenset()) - (left or frozenset())) & still):
            yield f"publication {was.name} no longer sends {listed(lost)} of {name}"
        if rows != kept and kept is not None:
            yield f"publication {was.name} sends those rows of {name} only that are WHERE {kept}"


def _is_of_partitions(facts: Facts, oid: int) -> bool:
    return facts.before.tables[oid].partition or facts.before.tables[oid].kind == "partitioned table"


def subscriptions(evidence: Sequence[Evidence], _: Facts) -> Judged:
    """Subscriptions that receive less; these statements aren't run in a rehearsal, so their text is what tells."""
    made: set[str] = set()
    for each, node in each_command(evidence):
        kind = tree.kind(node)
        if kind == "CreateSubscriptionStmt":
            made.add(node.subname)
        is_changed = kind in ("DropSubscriptionStmt", "AlterSubscriptionStmt") and node.subname not in made
        if is_changed and (what := _stopped(kind, node)):
            yield each, ("subscription-stops", f"subscription {node.subname} {what}", None)


def _stopped(kind: str, node: Node) -> str | None:
    if kind == "DropSubscriptionStmt":
        return "is dropped, and its slot at the publisher unless slot_name is NONE: no change is received any more"
    names = listed([item.string.sval for item in node.publication])
    options = {item.def_elem.defname: item.def_elem.arg for item in node.options}
    if (enabled := options.get("enabled")) is not None and enum(node, "kind") == "ALTER_SUBSCRIPTION_ENABLED":
        value = tree.unwrap(enabled)
        return None if value.boolval else "is disabled: it receives nothing, and the publisher keeps the WAL for it"
    if "slot_name" in options:
        return "uses another slot, or none: what it had not received yet from the old one is lost"
    words = _STOPS.get(enum(node, "kind"))
    return words.format(names) if words else None


PUBLICATIONS = (publications, subscriptions)
