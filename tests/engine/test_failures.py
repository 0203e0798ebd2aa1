"""What is shown of a failed statement: no password in it, whatever form it has."""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pgyoyo.engine.difference import difference
from pgyoyo.engine.failures import excerpt, hide, place_at
from pgyoyo.migrations.migration import File
from pgyoyo.sql.header import Header


def standard(text: str) -> str:
    return "'" + text.replace("'", "''").replace("\\", "") + "'"


def escaped(text: str) -> str:
    return "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def dollar(text: str) -> str:
    return f"$x${text}$x$" if "$" in text else f"$${text}$$"


LITERALS = (standard, escaped, dollar)
STATEMENTS = (
    "ALTER ROLE a PASSWORD {};",
    "CREATE ROLE a LOGIN ENCRYPTED PASSWORD {} VALID UNTIL 'infinity'",
    "create user a password{}",
    "ALTER ROLE a PASSWORD\n    {};",
    "ALTER ROLE a PASSWORD -- the new one\n {};",
    "ALTER ROLE a PASSWORD /* the new one */ {};",
    "CREATE USER MAPPING FOR u SERVER s OPTIONS (user 'a', password {});",
    "SELECT set_config('app.password', {}, false);",
    "UPDATE users SET password = {} WHERE id = 1",
    "UPDATE users SET password = crypt({}, gen_salt('bf'))",
    "SELECT login(password => {})",
)
CONNINFOS = (
    "CREATE SUBSCRIPTION s CONNECTION {} PUBLICATION p",
    "ALTER SUBSCRIPTION s CONNECTION\n{}",
    "SELECT dblink_connect({})",
    "SELECT * FROM dblink({}, 'SELECT 1') AS t (n int)",
)
PASSWORDS = st.text("qzQZ19$'\\@:/ ", min_size=3, max_size=12)


def pieces(password: str) -> list[str]:
    """All that would give a part of it away: three letters or digits in a row."""
    return [password[i : i + 3] for i in range(len(password) - 2) if password[i : i + 3].isalnum()]


def is_hidden(text: str, password: str) -> None:
    shown = hide(text)
    assert len(shown) == len(text)
    assert shown.count("\n") == text.count("\n")
    assert not [piece for piece in pieces(password) if piece in shown], (text, shown)


@given(PASSWORDS, st.sampled_from(STATEMENTS), st.sampled_from(LITERALS), st.integers(0, 200))
@example("111111\\", STATEMENTS[0], escaped, len("ALTER ROLE a PASSWORD E'111111\\"))
def test_password_of_a_statement_is_hidden(password: str, statement: str, literal, cut: int) -> None:
    assume("$x$" not in password + "$")
    text = statement.format(literal(password))
    is_hidden(text, password)
    is_hidden(text[:cut], password)  # as pg_stat_activity, and our own look at it, cut a query


@given(
    st.text("qzQZ19@:/-", min_size=3, max_size=12),
    st.sampled_from(CONNINFOS),
    st.sampled_from(LITERALS),
    st.integers(0, 200),
)
def test_password_of_a_conninfo_is_hidden(password: str, statement: str, literal, cut: int) -> None:
    for conninfo in (
        f"host=h password={password} user=u",
        f"password = '{password}' host=h",
        f"postgresql://u:{password}@h/d",
    ):
        text = statement.format(literal(conninfo))
        is_hidden(text, password)
        assert hide(text).startswith(statement.partition("{}")[0])
        if "://" not in text:
            is_hidden(text[:cut], password)


@pytest.mark.parametrize(
    "text",
    ["ALTER ROLE a PASSWORD NULL", 'FATAL: password authentication failed for user "x"', "SELECT 'a', 'b'",
     "ALTER TABLE u ADD password text CHECK (length(password) > 8), ADD n int DEFAULT 1", "INSERT INTO t (password) SELECT 1",
     "COMMENT ON CONNECTION IS NULL", "SELECT 'password', 1", "https://example.org/a:b", "password_hash 'x'"],
)  # fmt: skip
def test_what_is_no_password_is_shown(text: str) -> None:
    assert hide(text) == text


@pytest.mark.parametrize("where", ["'s3cr3t'", "PASSWORD"])
def test_password_on_a_line_of_its_own_is_hidden_in_the_line_shown(where: str) -> None:
    data = b"ALTER ROLE a PASSWORD\n  's3cr3t' NOLOG;\n"
    place = place_at(File("x.sql", data, Header(), "", empty=False), data.index(where.encode()), exact=True)
    assert "s3cr3t" not in place.text + excerpt(place)
    assert place.column == (3 if where.startswith("'") else 14)


def test_password_in_a_difference_is_hidden_and_its_change_shown() -> None:
    before = "SELECT 1;\nALTER ROLE a PASSWORD\n  's3cr3t';\nCREATE USER b PASSWORD 'geheim';\n"
    after = before.replace("s3cr3t", "s3cr3r").replace("geheim", "g3h31m")
    lines = difference(before, after, ("old", "new"))
    assert not [word for word in ("s3cr3", "geheim", "g3h31m") if word in "\n".join(lines)]
    assert [line[0] for line in lines] == ["-", "+", "@", " ", " ", "-", "-", "+", "+"]
    # The same line again, where nothing says that it is a password.
    twice = before + "SELECT\n  's3cr3t';\n"
    assert "s3cr3t" not in "\n".join(difference(twice, "SELECT 1;\n", ("old", "new")))
    # As where a rollback file came or went.
    assert difference("", "a\n", ("old", "new"))[-1] == "+a"
    assert difference("a\n", "", ("old", "new"))[-1] == "-a"
    assert difference("a\n@@ x\n++ y\n", "a\n", ("old", "new"))[-2:] == ["-@@ x", "-++ y"]
