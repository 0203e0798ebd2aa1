"""The findings that the rules of a review give on what was observed."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from pgyoyo.migrations.migration import File
from pgyoyo.review import advice_words
from pgyoyo.review.catalog_facts import Facts
from pgyoyo.review.evidence import Evidence, Hit
from pgyoyo.review.judging import Rule as CatalogRule
from pgyoyo.review.relation_names import bare_name
from pgyoyo.review.rulebook import NO_NAME, Place, rulebook
from pgyoyo.review.rules_drops import DROPS
from pgyoyo.review.rules_guarantees import GUARANTEES
from pgyoyo.review.rules_indexes import INDEXES
from pgyoyo.review.rules_keys import KEYS, narrowed_back
from pgyoyo.review.rules_load import LOAD
from pgyoyo.review.rules_locks import LOCKS
from pgyoyo.review.rules_names import NAMES
from pgyoyo.review.rules_objects import OBJECTS
from pgyoyo.review.rules_policies import POLICIES
from pgyoyo.review.rules_publications import PUBLICATIONS
from pgyoyo.review.rules_replication import REPLICATION
from pgyoyo.review.rules_security import SECURITY
from pgyoyo.review.rules_sequences import SEQUENCES
from pgyoyo.review.rules_work import WORK
from pgyoyo.review.sheet import FAILED, Finding, ObservedStatement, Relation
from pgyoyo.sql.intent import intent_of
from pgyoyo.sql.script import Script
from pgyoyo.text import hidden

CATALOG: Sequence[CatalogRule] = (
    *NAMES, *DROPS, *OBJECTS, *GUARANTEES, *SECURITY, *POLICIES, *REPLICATION, *PUBLICATIONS, *INDEXES, *KEYS, *SEQUENCES,
    *LOAD,
)  # fmt: skip
# A finding of the first takes the place of one of the second at the same statement: it says the same, but more exactly.
_REPLACES = {
    "detach-beside-default": "partition-locks-parent", "drop-partitioned-index": "drop-index-not-concurrently",
    "validate-domain-scans": "domain-constraint-scans", "add-domain-column": "volatile-default",
    "vacuum-full": "rewrite-storage", "cluster": "rewrite-storage", "detach-not-concurrently": "partition-locks-parent",
    "loop-not-run": "not-measured",
}  # fmt: skip
# Characters that look like a blank, or like nothing, and that PostgreSQL takes for letters of a name.
_LETTERS = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000]")
# Where they are text: comments, literals, the rows of a COPY.
_TEXT = re.compile(r"--[^\n]*|/\*.*?\*/|'[^']*'|(?im:^copy\b[^;]*\bstdin\b[^;]*;.*?^\\\.$)", re.DOTALL)
_PUBLIC = re.compile(r'(?<![\w".])public\.')


def findings(
    file: File, statements: Sequence[ObservedStatement], invalid: Sequence[Relation], facts: Facts | None = None
) -> list[Finding]:
    """The findings on each statement, then those on indexes that the migration leaves `invalid`.

    `facts`: the catalog before and after it; without them, since it failed, the rules about the catalog are not asked.
    """
    evidence: list[Evidence] = []
    renamed: dict[str, str] = {}
    for statement in statements:
        asks = intent_of(statement.sql.encode()).called(renamed)
        if asks.renames and asks.target:
            renamed = {**renamed, asks.renames: asks.target}
        evidence.append(Evidence(statement, asks, tuple(evidence), renamed))
    batched = file.header.backfill is not None
    result = [
        _finding(file, each, hit, facts)
        for each in evidence for rule in (_fails, *LOCKS, *WORK) for hit in rule(each)
        if not (batched and hit[0] in ("update-not-batched", "delete-not-batched"))
    ]  # fmt: skip
    result += _of_catalog(file, evidence, facts) if facts and evidence else []
    for relation in invalid:
        makers = [each for each in evidence if each.names(relation) or
                  any(change.identity == relation.name for change in each.statement.changes)]  # fmt: skip
        maker = makers[0] if makers else evidence[-1]
        result.append(
            _finding(file, maker, ("invalid-index", f"{_short(relation.name)} is left invalid", relation), facts)
        )
    replaced = {(_REPLACES.get(each.rule), each.statement) for each in result}
    result = [each for each in result if (each.rule, each.statement) not in replaced]
    return result + hidden_characters(file, statements)


def of_rollback(file: File, script: Script, facts: Facts | None) -> list[Finding]:
    """The findings on the text of a rollback: hidden characters, and types that values may have outgrown meanwhile."""
    rule = rulebook()["rollback-narrows"]
    return hidden_characters(file) + [
        rule.finding(file.path, script.line(offset), None, _PUBLIC.sub("", happens), table=_short(table))
        for offset, happens, table in (narrowed_back(script, facts) if facts else ())
    ]


def _of_catalog(file: File, evidence: Sequence[Evidence], facts: Facts) -> list[Finding]:
    """The findings of the rules about the catalog, each once for a statement and what happens."""
    judged = [pair for rule in CATALOG for pair in rule(evidence, facts)]
    seen = {(each.statement.number, hit): each for each, hit in judged}
    return [_finding(file, each, hit, facts) for (_, hit), each in seen.items()]


def hidden_characters(file: File, statements: Sequence[ObservedStatement] = ()) -> list[Finding]:
    """The findings on characters that a reader of the file doesn't see, one for each line of it, comments included."""
    text = file.data.decode(errors="replace")
    lines: dict[int, list[str]] = {}
    blanks = _LETTERS.finditer(_TEXT.sub(lambda match: "-" * len(match[0]), text))
    for offset, character in (*hidden(text), *((match.start(), match[0]) for match in blanks)):
        name = unicodedata.name(character, "control character").lower()
        lines.setdefault(file.line(text.count("\n", 0, offset) + 1), []).append(f"U+{ord(character):04X} ({name})")
    return [
        rulebook()["hidden-characters"].finding(
            file.path, line, next((each.number for each in reversed(statements) if each.line <= line), None),
            "the line holds " + ", ".join(dict.fromkeys(names)),
        )
        for line, names in lines.items()
    ]  # fmt: skip


def _fails(evidence: Evidence) -> Iterator[Hit]:
    statement = evidence.statement
    if statement.state == FAILED:
        rule = "enum-value-used-at-once" if statement.sqlstate == "55P04" else "statement-fails"
        yield rule, statement.error or "the statement fails", None


def _finding(file: File, evidence: Evidence, hit: Hit, facts: Facts | None) -> Finding:
    name, happens, relation = hit
    statement = evidence.statement
    table = NO_NAME
    if relation:
        table = _short(relation.table or relation.name) if "index" in relation.kind else _short(relation.name)
    # The text of a server error is not changed.
    happens = happens if statement.state == FAILED else _PUBLIC.sub("", happens)
    place = _place(relation, evidence, facts or Facts())
    about = bare_name((relation.table if "index" in relation.kind else "") or relation.name) if relation else ""
    words = advice_words.words(name, statement.sql, about)
    return rulebook()[name].finding(
        file.path, statement.line, statement.number, happens, table=table, place=place, words=words
    )


def _place(relation: Relation | None, evidence: Evidence, facts: Facts) -> Place:
    """What the safer way depends on."""
    partitioned = relation is not None and relation.kind in ("partitioned table", "partitioned index")
    if relation and relation.kind == "index":
        partitioned = any(table.name == relation.table and table.kind == "partitioned table" for table in facts.tables)
    plain = evidence.statement.name.upper().startswith(("UPDATE", "DELETE"))
    return Place(facts.version, partitioned, not plain, evidence.asks.any("add primary key"))


def _short(name: str) -> str:
    return name.removeprefix("public.")
