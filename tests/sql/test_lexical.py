"""Settings that change how the server reads text: every way to change them is seen, and nothing else."""

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgyoyo.sql import parser
from pgyoyo.sql.lexical import DEFAULTS, lexical_changes


def changes(text: str) -> list[tuple[str, str | None, str]]:
    script = parser.parse(text.encode())
    return [tuple(change) for statement in script.statements for change in lexical_changes(script.text(statement))]


STRINGS, ENCODING = "standard_conforming_strings", "client_encoding"
ALL = [(name, None, "session") for name in DEFAULTS]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SET standard_conforming_strings = off", [(STRINGS, "off", "session")]),
        ("set Session Standard_Conforming_Strings to 'off'", [(STRINGS, "off", "session")]),
        ('SET LOCAL "backslash_quote" = on', [("backslash_quote", "on", "transaction")]),
        ("SET escape_string_warning = off", [("escape_string_warning", "off", "session")]),
        ("SET NAMES 'latin1'", [(ENCODING, "latin1", "session")]),
        ("SET client_encoding TO LATIN1", [(ENCODING, "latin1", "session")]),
        ("SET client_encoding TO DEFAULT", [(ENCODING, None, "session")]),
        ("RESET standard_conforming_strings", [(STRINGS, None, "session")]),
        ("RESET /**/ standard_conforming_strings", [(STRINGS, None, "session")]),
        ("RESET ALL", ALL),
        ("DISCARD ALL", ALL),
        ("SELECT set_config('Standard_Conforming_Strings', 'off', false)", [(STRINGS, "off", "session")]),
        ("SELECT 1 FROM pg_catalog.set_config('client_encoding'::text, 'x' || 'y', true)", [(ENCODING, None, "transaction")]),
        ("UPDATE t SET a = set_config(b, c, false) WHERE b = 'client_encoding'", ALL),
        ("ALTER ROLE a SET standard_conforming_strings = off", [(STRINGS, "off", "later")]),
        ("ALTER DATABASE d SET client_encoding = 'latin1'", [(ENCODING, "latin1", "later")]),
        ("ALTER SYSTEM SET backslash_quote = on", [("backslash_quote", "on", "later")]),
        ("DO $$ BEGIN EXECUTE 'SET standard_conforming_strings = off'; END $$", [(STRINGS, None, "session")]),
        ("DO $$ BEGIN SET NAMES 'latin1'; END $$", [(ENCODING, None, "session")]),
        ("CREATE PROCEDURE p() LANGUAGE sql AS $$ SET client_encoding = 'latin1' $$", [(ENCODING, None, "session")]),
        # What the parser can't read.
        ("FROB standard_conforming_strings", [(STRINGS, None, "session")]),
    ],
)  # fmt: skip
def test_every_way_to_change_such_a_setting_is_seen(text: str, found: list[tuple[str, str | None, str]]) -> None:
    assert changes(text) == found
    assert changes(f"SELECT 1;\n{text};\nSELECT 2;") == found


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "SHOW client_encoding",
        "SELECT 'standard_conforming_strings', current_setting('client_encoding')",
        "COMMENT ON TABLE t IS 'SET standard_conforming_strings = off'",
        "-- SET standard_conforming_strings = off\nSELECT 1",
        "SET search_path = app; SELECT set_config('search_path', '', false)",
        "ALTER TABLE t RENAME COLUMN client_encoding TO names",
        "DISCARD PLANS",
    ],
)
def test_what_only_mentions_it_is_not(text: str) -> None:
    assert changes(text) == []


def test_defaults_are_known() -> None:
    # As pg_dump begins every dump.
    for text, is_default in (
        (b"SET client_encoding = 'UTF8'", True),
        (b"SET standard_conforming_strings = on", True),
        (b"SET\n standard_conforming_strings=0", False),
    ):
        assert [change.is_default for change in lexical_changes(text)] == [is_default]


# psql 18 reads them so: a backslash escapes from the next statement on, as far as the setting is off.
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("SET standard_conforming_strings = off;\nSELECT 'it\\''); COMMIT; --'", ["SELECT", "COMMIT"]),
        ("SET standard_conforming_strings = on;\nSELECT 'it\\'; COMMIT; --'", ["SELECT", "COMMIT"]),
        ("SET LOCAL standard_conforming_strings TO 'OFF' ; SELECT 'a\\';b', $$\\'$$, E'\\';'; COMMIT", ["SELECT", "COMMIT"]),
        ("SELECT set_config('standard_conforming_strings', 'off', false); SELECT '\\'; COMMIT; --'", ["SELECT"]),
        ("SET standard_conforming_strings = off; RESET ALL; SELECT '\\'; COMMIT; --'", ["RESET ALL", "SELECT", "COMMIT"]),
        ("SET standard_conforming_strings = 0; SET standard_conforming_strings = 1; SELECT '\\'; COMMIT",
         ["SET standard_conforming_strings", "SELECT", "COMMIT"]),
        ("SET standard_conforming_strings = off; SELECT 'é\\é\\'', 1; COMMIT; --'; VACUUM", ["SELECT", "COMMIT"]),
        ("SET standard_conforming_strings = off; COPY t FROM stdin;\nit's\\\\\n\\.\nSELECT '\\'; COMMIT; --'; ABORT",
         ["COPY t FROM stdin", "SELECT", "ABORT"]),
        ("SET standard_conforming_strings = off; CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT '\\';END;'; END; ABORT",
         ["CREATE FUNCTION f", "ABORT"]),
    ],
)  # fmt: skip
def test_strings_end_where_psql_ends_them(text: str, names: list[str]) -> None:
    script = parser.parse(text.encode())
    assert [statement.name for statement in script.statements][1:] == names
    assert script.sql.decode().endswith(text[-6:])


@pytest.mark.parametrize(("setting", "value"), [(name, value) for name in DEFAULTS for value in sorted(DEFAULTS[name])])
def test_the_server_takes_what_counts_as_a_default(setting: str, value: str, conn: psycopg.Connection) -> None:
    before = conn.execute("SELECT current_setting(%s)", [setting]).fetchone()
    conn.execute("SELECT set_config(%s, %s, false)", [setting, value])
    after = conn.execute("SELECT current_setting(%s)", [setting]).fetchone()
    assert before == after or setting == "escape_string_warning"


@given(st.text(st.sampled_from("SET standard_conforming_strings=off;\n'\\$-/*client_encoding")))
def test_any_text_gives_an_answer(text: str) -> None:
    assert all(change.setting in DEFAULTS for change in lexical_changes(text.encode()))
