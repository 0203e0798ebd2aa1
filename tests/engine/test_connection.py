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
from pgyoyo.engine.connection import connect, end, is_lasting, normalize, redact
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
    "scheme", ["mysql://", "sqlite:///", "SQLite:", "mysql+pymysql://", "oracle://", "cockroachdb://"]
)
def test_url_of_another_database_system_is_called_that(scheme: str) -> None:
    with pytest.raises(UsageError, match="PostgreSQL only") as caught:
        normalize(f"{scheme}u:secret@h/db")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown", "reason"),
    [
        ("nonsense", "…", 'missing = after "…"'),
        ("jdbc:postgresql://h/db", "jdbc:postgresql://…", 'missing = after "…"'),
        ("localhost:5432/db", "…", 'missing = after "…"'),
        ("postgresql://h/db?prot=5", "postgresql://…", 'invalid URI query parameter: "…" (did you mean port?)'),
        ("postgresql://h/db?passwd=abc", "postgresql://…", 'query parameter: "…" (did you mean password?)'),
        ("host=h prot=5 password=abc", "…", 'invalid connection option "…" (did you mean port?)'),
        ("postgresql://h%zz/db", "postgresql://…", 'invalid percent-encoded token: "…"'),
        ("postgresql://[::1/db", "postgresql://…", "looking for matching"),
    ],
)
def test_wrong_url_is_told_with_its_scheme_the_reason_and_a_right_one(text: str, shown: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        normalize(text)
    words = str(caught.value)
    assert words.startswith(f'"{shown}" is not a database URL: ')
    assert reason in words
    assert words.endswith(
        "write postgresql://user:password@host:5432/dbname, with /, @, : and % of the password percent-encoded"
    )


def test_value_in_blanks_or_quotes_or_nearly_the_word_embedded_is_what_was_meant() -> None:
    assert normalize(" postgresql://h/db\n") == "postgresql://h/db"
    for text, words in (
        ("'postgresql://u:secret@h/db'", "it stands in quotes; leave them out"),
        ("embeded", "did you mean embedded?"),
    ):
        with pytest.raises(UsageError) as caught:
            normalize(text)
        assert words in str(caught.value)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("password", ["pass\udcffword", "pass%87word"])
def test_url_that_is_not_utf8_is_told(password: str) -> None:
    with pytest.raises(UsageError) as caught:
        normalize(f"postgresql://u:{password}@h/db")
    assert str(caught.value) == "the database URL holds bytes that are not UTF-8; write a % of the password as %25"


@pytest.mark.parametrize(
    ("conninfo", "words"),
    [("host=/tmp connect_timeout=soon", "bad value for connect_timeout: 'soon'"),
     ("host=a..b", "label empty or too long"),
     ("service=no_such_service", 'definition of service "no_such_service" not found\nWaiting would not help; correct'),
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
            f"DATABASE_URL=postgresql://u:{spelt}@h/d",
            f"url=postgresql://u:{spelt}@h/d",
            f"dbname=postgresql://u:{spelt}@h/d",
            f"postgresql://h/d?user=u;password={spelt}&hostaddr=127.0.0.1&port=1",
            f"postgresql://u@h/d?pwd={spelt}",
            f"postgresql://u@h/d?passwd={spelt}",
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
            f"host=h user=u pwd={spelt}",
            f"host=h hostaddr=127.0.0.1 port=1 user=u;password={spelt}",
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
@example("7?7")
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
    assert redact(pair, pair) == "user=me password=*** host=example.org"
    query = f"postgresql://example.org/app?user=me&password={password}&port=5432"
    assert redact(query, query) == "postgresql://example.org/app?user=me&password=***&port=5432"


@pytest.mark.parametrize(
    "setting", ["-c app.secret=hunter22", "--app.api-key=hunter22", "-csearch_path=a -c a.password=hunter22"]
)
def test_secret_among_the_settings_of_the_url_is_hidden(setting: str) -> None:
    for conninfo in (f"postgresql://me@h/app?options={quote(setting)}&port=5432", f"user=me options='{setting}'"):
        assert "hunter22" not in redact(f"{conninfo}: unrecognized hunter22", conninfo)
        assert "options=***" in redact(conninfo, conninfo)


@pytest.mark.parametrize(
    "conninfo",
    ["", "postgresql:///app?options=-csearch_path%3Da",
     "postgresql://me@h:5432/app", "postgresql://h:5432,g:5433/app", "postgresql://[::1]:5432/app", "user=me host=h",
     "postgresql:///app?host=/tmp/a:b&port=5432", "postgresql://me@[::1]:5432/app", "service=x"],
)  # fmt: skip
def test_what_holds_no_password_is_shown_as_it_is(conninfo: str) -> None:
    assert redact(conninfo, conninfo) == conninfo


def test_password_that_is_also_a_name_leaves_the_names_readable() -> None:
    url = "postgresql://postgres:postgres@localhost:5432/postgres"
    text = f'{url}: role "postgres" does not exist'
    assert redact(text, url) == 'postgresql://postgres:***@localhost:5432/postgres: role "postgres" does not exist'


@pytest.mark.parametrize(
    "conninfo",
    ["postgresql://me:a/b@h/app", "postgresql://me:hunter2", "me:hunter2@h/app", "DATABASE_URL=postgresql://me:hunter2@h",
     "postgresql://h/app?user=me;password=hunter2", "host=h user=me pwd=hunter2", "postgresql://me:77/x@h/app"],
)  # fmt: skip
def test_of_what_can_be_read_in_two_ways_only_the_scheme_is_shown(conninfo: str) -> None:
    scheme = "postgresql://" if conninfo.startswith("postgresql://") else ""
    assert redact(conninfo, conninfo) == f"{scheme}…"
    text = f'invalid value "hunter2" for "port" in {conninfo}: \'x\', port 77 failed'
    assert redact(text, conninfo) == 'invalid value "…", "…" failed'


def test_url_without_its_at_sign_shows_no_password() -> None:
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
        assert "***" in result.err or "…" in result.err
        assert "Traceback" not in result.err
    result = run("server", "url", env={"DATABASE_URL": "postgresql://me:hunter2@h/app"})
    assert (result.code, result.out) == (0, "postgresql://me:***@h/app\n")


# --- Servers that refuse ---


@pytest.fixture(scope="module")
def secured() -> Iterator[EmbeddedServer]:
    """A server of our own that asks the role `secured` for its password."""
    home = Path(tempfile.mkdtemp(prefix="pgyoyo-tests-"))
    hba = home / "hba"
    hba.write_text("local all secured scram-sha-256\nlocal all unwelcome reject\nlocal all all trust\n")
    home.chmod(0o711)
    hba.chmod(0o644)
    version = int(os.environ.get("PGYOYO_TEST_POSTGRES") or 18)
    server = EmbeddedServer(home, version=version, settings={"fsync": "off", "hba_file": str(hba)})
    try:
        server.ensure_running(lambda line: None)
        with psycopg.connect(server.conninfo("postgres"), autocommit=True) as conn:
            conn.execute(sql.SQL("CREATE ROLE secured LOGIN PASSWORD {}").format(PASSWORD))
            conn.execute(
                "CREATE ROLE unwelcome LOGIN; CREATE ROLE shut_out; CREATE ROLE lonely LOGIN CONNECTION LIMIT 1"
            )
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
        assert words.endswith("Check the user and the password in the URL, PGPASSWORD or ~/.pgpass.")
        assert "***" in words or "…" in words
        assert f"password={password}" not in words
        assert f":{quote(password, safe='')}@" not in words
        assert password == "postgres" or password not in words


def test_missing_password_is_told(secured: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    words = refusal(make_conninfo(secured.conninfo("postgres"), user="secured", passfile="/nowhere"))
    assert "no password supplied" in words
    assert words.endswith("Check the user and the password in the URL, PGPASSWORD or ~/.pgpass.")


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
    ["dbname=x host=127.0.0.1 port=1", "dbname=x host=/nowhere", "postgresql://h/x?hostaddr=127.0.0.1&port=1"],
)
def test_server_that_is_down_is_told_at_once(conninfo: str) -> None:
    started = time.monotonic()
    words = refusal(conninfo)
    assert time.monotonic() - started < 2
    assert words.startswith(f"cannot connect to {conninfo}\n  ")
    assert words.endswith("Check that the server runs and that host and port are right.")


def test_server_that_stays_down_is_tried_for_as_long_as_asked() -> None:
    started = time.monotonic()
    refusal("host=/nowhere", wait=0.7)
    assert 0.7 <= time.monotonic() - started < 3


# --- What waiting helps against ---


@pytest.mark.parametrize(
    ("words", "lasting"),
    [('FATAL:  password authentication failed for user "u"', True),
     ("FATAL:  password authentication failed", True),
     ('FATAL:  Passwort-Authentifizierung für Benutzer »u« fehlgeschlagen', True),
     ('FATAL:  database "d" does not exist', True),
     ('FATAL:  database "d" is not currently accepting connections', True),
     ('FATAL:  role "u" does not exist', True),
     ('FATAL:  role "u" is not permitted to log in', True),
     ('FATAL:  permission denied for database "d"\nDETAIL:  User does not have CONNECT privilege.', True),
     ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "u", database "d", no encryption', True),
     ('FATAL:  pg_hba.conf rejects connection for host "10.0.0.1", user "u", database "d", SSL encryption', True),
     ("FATAL:  connection requires a valid client certificate", True),
     ('FATAL:  unrecognized configuration parameter "a"', True),
     ("FATAL:  unsupported startup parameter: options", True),
     ("FATAL:  no such database: d", True),
     ("fe_sendauth: no password supplied", True),
     ("server does not support SSL, but SSL was required", True),
     ('FATAL:  sorry, too many clients already', False),
     ('FATAL:  too many connections for role "u"', False),
     ('FATAL:  too many connections for database "d"', False),
     ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", False),
     ("FATAL:  the database system is starting up", False),
     ("FATAL:  the database system is shutting down", False),
     ("FATAL:  the database system is not yet accepting connections\nDETAIL:  Recovery is not done.", False),
     ("FATAL:  Das Datenbanksystem startet", False),
     ("FATAL:  terminating connection due to administrator command", False),
     ("FATAL:  server login has been failing, try again later (server_login_retry)", False),
     ("FATAL:  no more connections allowed (max_client_conn)", False),
     ("Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?", False),
     ("No such file or directory", False),
     ("timeout expired", False),
     ("server closed the connection unexpectedly", False),
     ("session is read-only", False)],
)  # fmt: skip
@pytest.mark.parametrize(
    "where",
    ['connection failed: connection to server at "127.0.0.1", port 5432 failed: ',
     'connection to server on socket "/tmp/.s.PGSQL.5432" failed: '],
)  # fmt: skip
def test_failure_that_no_waiting_changes_is_known_by_its_words(words: str, lasting: bool, where: str) -> None:
    assert is_lasting(where + words) == lasting
    several = f"{where}{words}\nMultiple connection attempts failed. All failures were:\n"
    several += f"- host: 'a': {where}{{}}\n- host: 'b': "
    first = several.format("Connection refused").replace("\n\t", " ") + where + words.partition("\n")[0]
    assert not is_lasting(first)
    assert is_lasting(several.format(words.partition("\n")[0]) + where + words.partition("\n")[0]) == lasting


def test_name_that_does_not_resolve_is_waited_for() -> None:
    assert not is_lasting("failed to resolve host 'db': [Errno -3] Temporary failure in name resolution")


@pytest.mark.parametrize(
    "changes",
    [{"user": "secured", "password": "wr0ng-w0rd"}, {"user": "no_such_role"}, {"dbname": "no_such_database"},
     {"options": "-c no_such_parameter=1"}, {"user": "unwelcome"}, {"user": "shut_out"}],
    ids=lambda changes: next(reversed(changes.values())),
)  # fmt: skip
def test_refusal_that_no_waiting_changes_is_not_waited_for(
    secured: EmbeddedServer, changes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(seconds: float) -> None:
        pytest.fail("it is waited for")

    monkeypatch.setattr("pgyoyo.engine.connection.time.sleep", sleep)
    refusal(make_conninfo(secured.conninfo("postgres"), **changes), wait=600)


def test_role_with_all_its_connections_taken_is_waited_for_with_a_login_a_second(
    secured: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    conninfo = make_conninfo(secured.conninfo("postgres"), user="lonely")
    pauses = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            first.close()
            while True:
                with psycopg.connect(secured.conninfo("postgres")) as conn:
                    if conn.execute("SELECT FROM pg_stat_activity WHERE usename = 'lonely'").fetchone() is None:
                        return

    with psycopg.connect(conninfo) as first:
        with pytest.raises(ConnectError, match='too many connections for role "lonely"'):
            connect(conninfo)
        monkeypatch.setattr("pgyoyo.engine.connection.time.sleep", sleep)
        connect(conninfo, wait=600).close()
    assert pauses == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("conninfo", "environment", "expected"),
    [("", None, "10"), ("", "3", "3"), ("connect_timeout=7", "3", "7"), ("service=x", None, None)],
)
def test_time_for_connecting_is_the_users(
    conninfo: str, environment: str | None, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sent(conninfo, environment, monkeypatch).get("connect_timeout") == expected


def test_keepalives_are_on_unless_the_user_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    given = "keepalives_idle=7 tcp_user_timeout=1 keepalives_count=2"
    assert {"keepalives_idle": "30", "tcp_user_timeout": "90000"}.items() <= sent("", None, monkeypatch).items()
    assert conninfo_to_dict(given).items() <= sent(given, None, monkeypatch).items()
    assert "keepalives_idle" not in sent("service=x", None, monkeypatch)


def sent(conninfo: str, environment: str | None, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the driver gets for a conninfo; `environment` is PGCONNECT_TIMEOUT."""
    taken: list[str] = []

    def take(text: str, **_: object) -> None:
        taken.append(text)
        raise psycopg.OperationalError("enough")

    monkeypatch.delenv("PGCONNECT_TIMEOUT", raising=False)
    if environment:
        monkeypatch.setenv("PGCONNECT_TIMEOUT", environment)
    monkeypatch.setattr("pgyoyo.engine.connection.Session.connect", take)
    with pytest.raises(ConnectError):
        connect(conninfo)
    return dict(conninfo_to_dict(taken[0]))


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


def test_session_is_gone_from_the_server_when_its_end_returns(conn: psycopg.Connection, database: str) -> None:
    for _ in range(5):
        session = connect(database)
        pid = session.info.backend_pid
        end(session)
        assert session.closed
        # Not in pg_stat_activity, which a session leaves before it is gone.
        conn.execute("SET client_min_messages = error")
        assert conn.execute("SELECT pg_cancel_backend(%s)", [pid]).fetchone() == (False,)
    end(session)
