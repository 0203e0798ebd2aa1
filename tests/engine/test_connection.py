"""Connections: what is accepted, what a failure says, and that no password shows."""

import os
import re
import shutil
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from own_server import own_server
from pgyoyo.engine.connection import connect, normalize, redact
from pgyoyo.errors import ConnectError, PgyoyoError, UsageError
from pgyoyo.server.postgres import EmbeddedServer

PASSWORD = "s3cr3t-w0rd"  # what a server of our own asks of the role `secured`


def url_of(conninfo: str, scheme: str = "postgresql", **changes: str) -> str:
    facts = {**conninfo_to_dict(conninfo), **changes}
    userinfo = quote(facts.pop("user", "") or "", safe="")
    if password := facts.pop("password", ""):
        userinfo += ":" + quote(password, safe="")
    dbname = quote(facts.pop("dbname"), safe="")
    rest = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in facts.items())
    return f"{scheme}://{userinfo}@/{dbname}?{rest}"


def refusal(conninfo: str, *, wait: float = 0.0) -> str:
    with pytest.raises(ConnectError) as caught:
        connect(normalize(conninfo), wait=wait).close()
    return str(caught.value)


# --- What is accepted ---


@pytest.mark.parametrize(
    "scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+pgyoyo", "postgres+psycopg2"]
)
def test_url_with_any_of_its_drivers_connects(scheme: str, database: str) -> None:
    with connect(normalize(url_of(database, scheme))) as conn:
        assert conn.info.dbname == conninfo_to_dict(database)["dbname"]


@pytest.mark.parametrize("text", ["", "host=/tmp dbname=x", "service=x", "postgresql://", "postgresql:///x?host=/tmp"])
def test_what_libpq_takes_is_left_as_it_is(text: str) -> None:
    assert normalize(text) == text


def test_connection_commits_by_itself_prepares_nothing_speaks_utf8_and_has_our_name(database: str) -> None:
    with connect(make_conninfo(database, client_encoding="LATIN1")) as conn:
        assert conn.autocommit
        assert conn.prepare_threshold is None
        assert conn.info.encoding == "utf-8"
        assert conn.execute("SHOW application_name").fetchone() == ("pgyoyo",)
    with connect(make_conninfo(database, application_name="mine")) as conn:
        assert conn.execute("SHOW application_name").fetchone() == ("mine",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nonsense", 'missing "=" after "nonsense"'),
        ("mysql://h/db", 'missing "=" after "mysql://h/db"'),
        ("localhost:5432/db", 'missing "=" after "localhost:5432/db"'),
        ("postgresql://h/db?prot=5", 'invalid URI query parameter: "prot"'),
        ("host=h prot=5 password=abc", 'invalid connection option "prot"'),
        ("postgresql://h%zz/db", 'invalid percent-encoded token: "h%zz"'),
        ("postgresql://[::1/db", "looking for matching"),
    ],
)
def test_wrong_url_is_told_with_the_reason_and_a_right_one(text: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        normalize(text)
    words = str(caught.value)
    assert words.startswith(f'"{text.replace("abc", "***")}" is no database URL: ')
    assert reason in words
    assert words.endswith(
        "write postgresql://user:password@host:5432/dbname, with /, @, : and % of the password percent-encoded"
    )


@pytest.mark.parametrize("password", ["pass\udcffword", "pass%87word"])
def test_url_that_is_not_utf8_is_told(password: str) -> None:
    with pytest.raises(UsageError) as caught:
        normalize(f"postgresql://u:{password}@h/db")
    assert str(caught.value) == "the database URL holds bytes that are not UTF-8; write a % of the password as %25"


@pytest.mark.parametrize(
    ("conninfo", "words"),
    [("host=/tmp connect_timeout=soon", "bad value for connect_timeout: 'soon'"),
     ("host=a..b", "label empty or too long"),
     ("service=no_such_service", 'definition of service "no_such_service" not found'),
     ("host=/tmp sslmode=perhaps", 'invalid sslmode value: "perhaps"')],
)  # fmt: skip
def test_value_that_cannot_be_used_is_told_and_not_tried_again(conninfo: str, words: str) -> None:
    assert words in refusal(conninfo)


# --- No password shows ---

# Not letters of a hexadecimal escape, and no word that the messages themselves use.
ALPHABET = "xyzXYZ789@/:#?% '\"\\"
PASSWORDS = st.text(ALPHABET, min_size=1, max_size=16).filter(lambda text: text.strip() == text)


def urls(password: str) -> list[str]:
    """A URL with the password as it is, escaped, and escaped in part, in each place where it may stand."""
    spellings = {password, quote(password, safe=""), password.replace("@", "%40"), quote(password, safe="@:/")}
    return [
        url
        for spelt in spellings
        for url in (
            f"postgresql://u:{spelt}@h:1/d?hostaddr=127.0.0.1",
            f"postgresql+psycopg://u:{spelt}@h:1/d?hostaddr=127.0.0.1",
            f"postgresql://u@h:1/d?hostaddr=127.0.0.1&password={spelt}",
            f"postgresql://h/d?password={spelt}&user=u&hostaddr=127.0.0.1&port=1",
            f"u:{spelt}@h/d",
            f"mysql://u:{spelt}@h/d",
            f"postgresql:/u:{spelt}@h/d",
            f"postgresql//u:{spelt}@h/d",
            f"postgresql://u:{spelt}@h/d?prot=1",
            f"postgresql://u:{spelt}@h:no/d?hostaddr=127.0.0.1",
            f"postgresql://u/v:{spelt}@h/d?hostaddr=127.0.0.1&port=1",
        )
    ]


def pairs(password: str) -> list[str]:
    """The same in key=value form: as it is, quoted, quoted without escapes, and with something wrong elsewhere."""
    escaped = password.replace("\\", "\\\\").replace("'", "\\'")
    spellings = {password, f"'{escaped}'", f"'{password}'", escaped.replace(" ", "\\ ")}
    return [
        text
        for spelt in spellings
        for text in (
            f"host=h hostaddr=127.0.0.1 port=1 user=u password={spelt}",
            f"password = {spelt} host=h hostaddr=127.0.0.1 port=1",
            f"PASSWORD={spelt} host=h",
            f"host=h sslpassword={spelt} hostaddr=127.0.0.1 port=no",
            f"prot=1 password={spelt} host=h",
        )
    ]


def told(conninfo: str) -> str:
    try:
        connect(normalize(conninfo)).close()
    except PgyoyoError as error:
        return "".join(traceback.format_exception(error))
    return ""


def shows_a_piece(text: str, password: str) -> str:
    """Three characters of the password in a row, no mark at either end, that stand in the text, or nothing."""
    parts = (password[i : i + 3] for i in range(len(password) - 2))
    return next((part for part in parts if part in text and re.fullmatch(r"\w.\w", part)), "")


@settings(deadline=None, max_examples=40)
@given(PASSWORDS)
@example("xyz/789")
@example("xyz@789/zyx")
@example("xyz 789 zyx")
@example("xyz' 789")
@example("xyz%789")
@example("'xyz789'")
@example("'77:")
@example("'7:\"")
@example("xyz//789")
@example("//777")
@example("//777:888")
def test_error_shows_no_piece_of_a_password(password: str) -> None:
    assume("://" not in password)  # stands in every URL
    for conninfo in urls(password) + pairs(password):
        words = told(conninfo)
        assert not shows_a_piece(words, password), (conninfo, words)
        shown = redact(conninfo, conninfo)
        assert not shows_a_piece(shown, password), (conninfo, shown)


@settings(deadline=None)
@given(st.text("abcdefghijklmnopqrstuvwxyzABC-_.!$~0123456789", min_size=1, max_size=20))
def test_password_is_gone_and_all_else_is_kept_where_the_url_is_right(password: str) -> None:
    url = f"postgresql://me:{password}@example.org:5432/app?sslmode=require"
    assert redact(url, url) == "postgresql://me:***@example.org:5432/app?sslmode=require"
    pair = f"host=example.org password={password} user=me"
    assert redact(pair, pair) == "host=example.org password=*** user=me"
    query = f"postgresql://example.org/app?user=me&password={password}&port=5432"
    assert redact(query, query) == "postgresql://example.org/app?user=me&password=***&port=5432"


@pytest.mark.parametrize(
    "conninfo",
    ["", "postgresql://me@h:5432/app", "postgresql://h:5432,g:5433/app", "postgresql://[::1]:5432/app", "host=h user=me",
     "postgresql:///app?host=/tmp/a:b&port=5432", "postgresql://me@[::1]:5432/app", "service=x", "h:5432/app"],
)  # fmt: skip
def test_what_holds_no_password_is_shown_as_it_is(conninfo: str) -> None:
    assert redact(conninfo, conninfo) == conninfo


def test_password_that_is_also_a_name_leaves_the_names_readable() -> None:
    url = "postgresql://postgres:postgres@localhost:5432/postgres"
    text = f'{url}: role "postgres" does not exist'
    assert redact(text, url) == 'postgresql://postgres:***@localhost:5432/postgres: role "postgres" does not exist'


def test_short_piece_is_hidden_where_it_is_quoted_and_no_word_is_spoilt() -> None:
    url = "postgresql://me:a/b@h/app"
    assert redact('invalid value "a" for "port"', url) == 'invalid value "***" for "port"'


def test_url_without_its_at_sign_shows_no_password() -> None:
    assert redact("postgresql://me:hunter2", "postgresql://me:hunter2") == "postgresql://me:***"
    assert "hunter2" not in told("postgresql://me:hunter2?hostaddr=127.0.0.1")


def test_commands_show_no_password(run, secrets: set[str], tmp_path: Path) -> None:
    secrets.add("hunter2")
    (tmp_path / "0001_a.sql").write_text("SELECT 1;")
    for command, database in (
        (["apply"], "postgresql://me:hunter2@h:1/app?hostaddr=127.0.0.1"),
        (["rollback", "--all"], "postgresql://me:hunter2/x@h/app"),
        (["status", "--format", "json"], "password=hunter2 x"),
    ):
        result = run(*command, "--migrations", ".", "--database", database)
        assert result.code in (1, 2)
        assert "***" in result.err
        assert "Traceback" not in result.err
    result = run("server", "url", env={"DATABASE_URL": "postgresql://me:hunter2@h/app"})
    assert (result.code, result.out) == (0, "postgresql://me:***@h/app\n")


# --- Servers that refuse ---


@pytest.fixture(scope="module")
def secured() -> Iterator[EmbeddedServer]:
    """A server of our own that asks the role `secured` for its password."""
    home = Path(tempfile.mkdtemp(prefix="pgyoyo-tests-"))
    hba = home / "hba"
    hba.write_text("local all secured scram-sha-256\nlocal all all trust\n")
    home.chmod(0o711)
    hba.chmod(0o644)
    version = int(os.environ.get("PGYOYO_TEST_POSTGRES") or 18)
    server = EmbeddedServer(home, version=version, settings={"fsync": "off", "hba_file": str(hba)})
    try:
        server.ensure_running(lambda line: None)
        with psycopg.connect(server.conninfo("postgres"), autocommit=True) as conn:
            conn.execute(sql.SQL("CREATE ROLE secured LOGIN PASSWORD {}").format(PASSWORD))
        yield server
    finally:
        server.stop()
        shutil.rmtree(home)


def test_right_password_connects_in_every_form(secured: EmbeddedServer) -> None:
    conninfo = make_conninfo(secured.conninfo("postgres"), user="secured", password=PASSWORD)
    for text in (conninfo, url_of(conninfo), url_of(conninfo, "postgresql+psycopg")):
        with connect(normalize(text)) as conn:
            assert conn.info.user == "secured"


@pytest.mark.parametrize("password", ["wr0ng-w0rd", "wr/ng@w:rd #1", "postgres"])
def test_wrong_password_is_told_with_the_users_name_and_without_the_password(
    password: str, secured: EmbeddedServer
) -> None:
    conninfo = make_conninfo(secured.conninfo("postgres"), user="secured", password=password)
    for text in (conninfo, url_of(conninfo)):
        words = refusal(text)
        assert 'password authentication failed for user "secured"' in words
        assert words.endswith("Check the user and the password in DATABASE_URL, PGPASSWORD or ~/.pgpass.")
        assert "***" in words
        assert f"password={password}" not in words
        assert f":{quote(password, safe='')}@" not in words
        assert password == "postgres" or password not in words


def test_missing_password_is_told(secured: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    words = refusal(make_conninfo(secured.conninfo("postgres"), user="secured", passfile="/nowhere"))
    assert "no password supplied" in words
    assert words.endswith("Check the user and the password in DATABASE_URL, PGPASSWORD or ~/.pgpass.")


def test_wrong_password_in_the_environment_is_told_and_not_shown(
    secured: EmbeddedServer, run, secrets: set[str], tmp_path: Path
) -> None:
    secrets.add("wr0ng-from-env")
    (tmp_path / "0001_a.sql").write_text("SELECT 1;")
    env = {"PGHOST": secured.host, "PGPORT": str(secured.port), "PGUSER": "secured", "PGPASSWORD": "wr0ng-from-env"}
    result = run("status", "--migrations", ".", env={**env, "PGDATABASE": "postgres"})
    assert result.code == 1
    assert result.err.startswith("error: cannot connect to libpq's environment (PGHOST, PGSERVICE, …)\n")
    assert 'password authentication failed for user "secured"' in result.err


def test_database_that_does_not_exist_is_told(server_conninfo: str) -> None:
    words = refusal(make_conninfo(server_conninfo, dbname="no_such_database"))
    assert 'database "no_such_database" does not exist' in words
    assert words.endswith("Create the database first (createdb), or name another one.")


def test_role_that_may_not_create_the_ledger_is_told_and_leaves_nothing(
    secured: EmbeddedServer, run, tmp_path: Path
) -> None:
    (tmp_path / "0001_a.sql").write_text("CREATE TABLE a ();")
    with psycopg.connect(secured.conninfo("postgres"), autocommit=True) as conn:
        conn.execute('CREATE ROLE "may not" LOGIN')
        options = ["--migrations", ".", "--database", make_conninfo(secured.conninfo("postgres"), user="may not")]
        result = run("apply", *options)
        assert result.code == 1
        assert result.err.splitlines() == [
            'error: the role "may not" may not create the ledger in schema public: permission denied for schema public',
            'Let the schema\'s owner run: GRANT CREATE ON SCHEMA public TO "may not";',
        ]
        assert conn.execute("SELECT count(*) FROM pg_class WHERE relname ~ 'yoyo'").fetchone() == (0,)
        status = run("status", *options)
        assert (status.code, "pending  0001_a" in status.out) == (0, True)
        # The advice does what it says.
        conn.execute(result.err.splitlines()[1].partition("run: ")[2].encode())
        assert run("apply", *options).code == 0


def test_role_that_does_not_exist_is_told(secured: EmbeddedServer) -> None:
    words = refusal(make_conninfo(secured.conninfo("postgres"), user="no_such_role"))
    assert 'role "no_such_role" does not exist' in words
    assert words.endswith("Create the role first (createuser), or name another one.")


@pytest.mark.parametrize(
    "conninfo",
    ["host=127.0.0.1 port=1 dbname=x", "host=/nowhere dbname=x", "postgresql://h/x?hostaddr=127.0.0.1&port=1"],
)
def test_server_that_is_down_is_told_at_once(conninfo: str) -> None:
    started = time.monotonic()
    words = refusal(conninfo)
    assert time.monotonic() - started < 2
    assert words.startswith(f"cannot connect to {conninfo}\n  ")
    assert words.endswith(
        "Check that the server runs and that host and port are right; --wait 60s waits for one that is starting."
    )


def test_server_that_stays_down_is_tried_for_as_long_as_asked() -> None:
    started = time.monotonic()
    refusal("host=/nowhere", wait=0.7)
    assert 0.7 <= time.monotonic() - started < 3


# --- Servers that are starting ---


@pytest.fixture
def starting() -> Iterator[EmbeddedServer]:
    """A server of our own that was started once, and stopped."""
    with own_server({"fsync": "off"}) as server:
        server.stop()
        yield server


def in_background(action: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=action)
    thread.start()
    return thread


def test_server_that_says_it_is_starting_is_waited_for_unasked(starting: EmbeddedServer) -> None:
    # It asks for files to recover from, and gets none only after a while.
    (starting.data / "recovery.signal").touch()
    shutil.chown(starting.data / "recovery.signal", starting.data.stat().st_uid)
    starting.settings["restore_command"] = "sleep 0.3; false"
    thread = in_background(lambda: starting.ensure_running(lambda line: None))
    try:
        said = ""
        deadline = time.monotonic() + 20
        while "starting up" not in said:
            assert time.monotonic() < deadline, said
            try:
                psycopg.connect(starting.conninfo("postgres")).close()
            except psycopg.OperationalError as error:
                said = str(error)
        connect(starting.conninfo("postgres")).close()
    finally:
        thread.join()


def test_server_that_is_down_is_waited_for_when_asked(starting: EmbeddedServer) -> None:
    thread = in_background(lambda: (time.sleep(0.3), starting.ensure_running(lambda line: None)))
    try:
        with pytest.raises(ConnectError):
            connect(starting.conninfo("postgres"))
        connect(starting.conninfo("postgres"), wait=20).close()
    finally:
        thread.join()
