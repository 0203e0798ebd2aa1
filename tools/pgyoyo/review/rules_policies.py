"""The rules about row security that shows more rows than before, or fewer."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pgyoyo.review.catalog_facts import Facts, Policy, Table
from pgyoyo.review.commands import enum
from pgyoyo.review.evidence import Evidence
from pgyoyo.review.judging import Judged, listed, maker
from pgyoyo.sql import tree
from pgyoyo.sql.tree import Node

SHOWS, HIDES = "row-security-loosened", "row-security-tightened"

_COMMANDS = {"*": "read and write", "r": "read", "a": "insert", "w": "update", "d": "delete"}


def changed_policies(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """Tables whose rows other roles see or write afterwards, by switching row security off or by another policy."""
    for was, now in facts.kept:
        if not was.secured:
            continue
        for rule, what in _compared(was, now) if now.secured else [(SHOWS, _switched_off(was))]:
            yield maker(evidence, was.name), (rule, what, facts.relation(was.oid))


def _switched_off(was: Table) -> str:
    rows = "all rows" if was.policies else "all rows, which no policy let through"
    return f"row security of {was.name} is switched off: every role with a privilege on it has {rows}"


def _compared(was: Table, now: Table) -> Iterator[tuple[str, str]]:
    """What the policies that are gone, new, or others under their name, let through or hide."""
    if was.forced and not now.forced:
        yield SHOWS, f"the policies of {was.name} no longer bind its owner, who sees and changes all rows"
    if now.hides_all:
        return  # a rule of its own
    gone = {policy.name: policy for policy in was.policies if not _again(policy, now)}
    new = {policy.name: policy for policy in now.policies if not _again(policy, was)}
    for name in sorted(gone.keys() & new.keys()):
        yield from _changed(was.name, gone[name], new[name])
    for name in sorted(gone.keys() - new.keys()):
        policy = gone[name]
        can, that = ("can no longer", "lets through") if policy.permissive else ("can", "hides")
        words = f"without policy {name} {_whom(policy)} {can} {_does(policy)} the rows of {was.name} that it {that}"
        yield HIDES if policy.permissive else SHOWS, words
    for name in sorted(new.keys() - gone.keys()):
        policy = new[name]
        beside = [each.name for each in was.policies if each.permissive and _meet(each, policy)]
        if not policy.permissive:
            yield HIDES, f"policy {name} hides rows of {was.name} from {_whom(policy)} that the others let through"
        elif beside:
            words = f"policy {name} lets {_whom(policy)} {_does(policy)} rows of {was.name} besides those of {listed(beside)}"
            yield SHOWS, f"{words}: policies are joined with OR"


def _again(policy: Policy, table: Table) -> bool:
    """Whether the table has the same policy, under any name."""
    return any(policy == replace(each, name=policy.name) for each in table.policies)


def _changed(table: str, old: Policy, new: Policy) -> Iterator[tuple[str, str]]:
    """A policy that is another one under its name."""
    if old.permissive != new.permissive:
        rule, verb = (SHOWS, "lets rows through") if new.permissive else (HIDES, "hides rows")
        yield rule, f"policy {old.name} of {table} {verb} now, which it did not"
        return
    more, fewer = new.roles - old.roles, old.roles - new.roles
    if "PUBLIC" in old.roles:
        more = frozenset()
    elif "PUBLIC" in new.roles:
        fewer = frozenset()
    for roles, permits in ((more, True), (fewer, False)):
        if roles:
            is_let = permits == old.permissive
            words = "lets them see rows" if is_let else "hides rows from them"
            whose = f"is for {listed(sorted(roles))} too" if permits else f"is no longer for {listed(sorted(roles))}"
            yield SHOWS if is_let else HIDES, f"policy {old.name} of {table} {whose}, which {words}"
    if old.command != new.command:
        kept = f"to {_COMMANDS[old.command]}, now to {_COMMANDS[new.command]}"
        yield SHOWS if (new.command == "*") == old.permissive else HIDES, f"policy {old.name} of {table} was {kept}"
    for word, before, after in (("USING", old.using, new.using), ("WITH CHECK", old.checks, new.checks)):
        if before == after:
            continue
        is_wider = _is_wider(before, after)
        if is_wider is not None:
            effect = "more rows pass" if is_wider else "fewer rows pass"
            yield SHOWS if is_wider else HIDES, f"policy {old.name} of {table}: {word} {_short(after)}: {effect}"
        else:
            yield SHOWS, f"policy {old.name} of {table}: {word} {_short(after)} was {_short(before)}: other rows pass"


def _is_wider(before: str | None, after: str | None) -> bool | None:
    """Whether the second condition lets more rows through than the first, or fewer; None where its text doesn't tell."""
    if after == "true" or before == "false":
        return True
    if before == "true" or after == "false":
        return False
    old, new = (tree.condition(text) if text else None for text in (before, after))
    if old is None or new is None:
        return None
    for word, gives_more in (("AND_EXPR", False), ("OR_EXPR", True)):
        few, many = _terms(old, word), _terms(new, word)
        if few < many:
            return gives_more
        if many < few:
            return not gives_more
    return None


def _terms(condition: Node, word: str) -> frozenset[str]:
    """What AND or OR joins at the top of a condition; the whole where it joins nothing."""
    joined = tree.unwrap(condition)
    is_joined = tree.kind(joined) == "BoolExpr" and enum(joined, "boolop") == word
    return frozenset(repr(tree.shape(part)) for part in (joined.args if is_joined else [condition]))


def _meet(policy: Policy, other: Policy) -> bool:
    """Whether some role and some command come under both."""
    roles = "PUBLIC" in policy.roles | other.roles or bool(policy.roles & other.roles)
    return roles and (policy.command == other.command or "*" in (policy.command, other.command))


def _whom(policy: Policy) -> str:
    return "every role" if "PUBLIC" in policy.roles else listed(sorted(policy.roles))


def _does(policy: Policy) -> str:
    return _COMMANDS[policy.command]


def _short(condition: str | None) -> str:
    return f"({condition})" if condition and len(condition) <= 60 else "(…)" if condition else "none"


POLICIES = (changed_policies,)
