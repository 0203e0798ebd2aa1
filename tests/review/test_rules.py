"""Each rule of a review, by a pair of files: one that it is about, and one that does the same job in the safer way.

tools/pgyoyo/review/pairs/<rule>/bad.sql gives the finding, and those that its line "-- also: RULE, RULE" names, and no other;
good.sql gives none above a note, and not this one. Before either stands pairs/before.sql, and, where the folder
has them, before.sql, then bad.before.sql or good.before.sql: the step that comes first. data.sql holds rows, queries.sql what
the running release sends. With a rollback
file beside it a file is reviewed as a whole; without one it is rehearsed, and the findings are the measured ones.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg import Connection

from pgyoyo.console import Console
from pgyoyo.errors import UsageError
from pgyoyo.migrations import migration, reader
from pgyoyo.prove import proof
from pgyoyo.review import live_checks, rules
from pgyoyo.review.phases import held_to_phase
from pgyoyo.review.render.rule_page import PAIRS, rule_page
from pgyoyo.review.review import Chain, review
from pgyoyo.review.rulebook import Place, Rule, rulebook
from pgyoyo.review.rules import hidden_characters
from pgyoyo.review.running import Running
from pgyoyo.review.sheet import NOTE, SEVERITIES, Finding
from pgyoyo.review.stage import RehearsalDatabases
from pgyoyo.sql import parser
from pgyoyo.workload import statements
from staging import begin

CASES = PAIRS
FOLDERS = sorted(path for path in CASES.iterdir() if path.is_dir())
Look = Callable[[Path, str], list[Finding]]


@pytest.fixture
def look(admin: Connection, stage: RehearsalDatabases) -> Look:
    """The findings of one file of a pair."""

    def look(folder: Path, name: str) -> list[Finding]:
        steps = (CASES / "before.sql", folder / "before.sql", folder / f"{name}.before.sql", folder / f"{name}.sql")
        # The steps of a folder have the names of those of others.
        chain = [reader.read_one(path)._replace(hash=migration.hash_of(str(path))) for path in steps if path.exists()]
        rows = folder / "data.sql"
        data = reader.read_one(rows).apply if rows.exists() else None
        *_, last = chain
        if last.rollback:
            reviewed = review(admin, Chain(chain, [len(chain) - 1]), Console(quiet=True), data=data)
            return list(reviewed.findings)
        begin(stage, chain[:-1])
        if data:
            assert stage.load(parser.parse(data.data)) is None
        sent = folder / "queries.sql"
        running = Running(sent, statements.read(sent)) if sent.exists() else None
        if running:
            running.look(stage.copy.ready().conn)
        rehearsal = stage.rehearse(last)
        findings = rules.findings(last.apply, rehearsal.statements, rehearsal.invalid(), rehearsal.facts())
        if running:
            findings += running.judge(stage.copy.ready().conn, last.apply, rehearsal.statements)[0]
        return held_to_phase(last.apply, rehearsal.statements, findings, knows_queries=running is not None)

    return look


def report(findings: list[Finding]) -> str:
    return "\n".join(f"{finding.severity} {finding.rule}: {finding.line}: {finding.happens}" for finding in findings)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_bad_file_gives_its_finding_and_the_good_one_none(folder: Path, look: Look) -> None:
    [also] = re.findall(r"^-- also: (.*)$", (folder / "bad.sql").read_text(), re.MULTILINE) or [""]
    findings = look(folder, "bad")
    assert {finding.rule for finding in findings} == {folder.name, *filter(None, also.split(", "))}, report(findings)
    for finding in findings:
        assert finding.severity in SEVERITIES
        assert finding.happens
        assert finding.line >= 1
    findings = look(folder, "good")
    assert not [
        finding
        for finding in findings
        if finding.rule == folder.name or (finding.severity != NOTE and not finding.allowed)
    ], report(findings)


def test_every_rule_has_its_pair_and_every_pair_its_rule() -> None:
    # The rows of a database have their own table, in test_live_checks.py.
    assert {path.name for path in FOLDERS} == set(rulebook()) - {live_checks.RULE}
    assert [path for path in FOLDERS if not ((path / "bad.sql").exists() and (path / "good.sql").exists())] == []


@pytest.mark.parametrize("rule", rulebook().values(), ids=lambda rule: rule.id)
def test_rule_has_its_words(rule: Rule) -> None:
    assert rule.severity in SEVERITIES
    assert rule.title
    assert rule.effect.endswith(".")
    assert rule.why.endswith(".")
    assert re.fullmatch(r"[a-z-]+\.html(#[A-Z-]+)?", rule.manual)
    for version in range(14, 19):
        for partitioned in (False, True):
            if not (rule.advice and rule.advice[-1].table == "plain" and partitioned):
                assert rule.safer(Place(version * 10_000, partitioned)), (
                    "a rule has a safer way, or says that there is none"
                )


@pytest.mark.parametrize("name", rulebook())
def test_rule_has_a_page_with_its_pair(name: str) -> None:
    page = rule_page(name)
    rule = rulebook()[name]
    pair = ("This gives the finding", "This does not") if (PAIRS / name).exists() else ()
    for words in (rule.title, rule.why, rule.manual, "Safer", *pair):
        assert words in page
    assert not re.search(r"\{[a-z_]+\}|-- also:|\buniqueINDEX\b| definition;", page)


def test_page_of_no_rule_names_the_nearest() -> None:
    with pytest.raises(
        UsageError, match=r'there is no rule "index-not-concurrent"; did you mean index-not-concurrently\?'
    ):
        rule_page("index-not-concurrent")


def test_hidden_characters_of_a_rollback_are_found_on_their_lines(admin: Connection, tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text("CREATE TABLE a ();\n")
    rollback = tmp_path / "0001_a.rollback.sql"
    rollback.write_text("-- \u202e\u2066 and \u202e\nDROP TABLE a;\r\n/* a\u200bb */\n", encoding="utf-8")
    chain = Chain([reader.read_one(tmp_path / "0001_a.sql")], [0])
    found = [finding for finding in review(admin, chain, Console(quiet=True)).findings if finding.path == rollback]
    assert [(finding.rule, finding.line, finding.happens) for finding in found] == [
        ("hidden-characters", 1,
         "the line holds U+202E (right-to-left override), U+2066 (left-to-right isolate)"),
        ("hidden-characters", 3, "the line holds U+200B (zero width space)"),
    ]  # fmt: skip


def test_blank_that_is_a_letter_is_found_in_code_and_not_in_text(tmp_path: Path) -> None:
    path = tmp_path / "0001_a.sql"
    path.write_text(
        "-- 10\u00a0000 !\nSELECT '1\u00a0000', /* \u3000 */ id\u00a0 FROM a;\nDO $$BEGIN\u2009PERFORM '\u2009'; END$$;\n"
        'SELECT "id\u2800" FROM a;\nCOPY a FROM stdin;\n1\u00a0000\n\\.\n',
        encoding="utf-8",
    )
    assert [(each.line, each.happens) for each in hidden_characters(reader.read_one(path).apply)] == [
        (2, "the line holds U+00A0 (no-break space)"),
        (3, "the line holds U+2009 (thin space)"),
        (4, "the line holds U+2800 (braille pattern blank)"),
    ]


def test_classes_of_a_proof_are_rules() -> None:
    assert set(proof.WORDS) - set(rulebook()) == {proof.CHAIN, proof.NOT_RUN}
