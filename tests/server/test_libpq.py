"""Nothing of libpq's environment reaches the embedded server."""

import psycopg
import pytest
from psycopg.pq import Conninfo

from pgyoyo.engine import connection
from pgyoyo.server import in_memory, libpq
from pgyoyo.server.postgres import EmbeddedServer
from pgyoyo.server.psql import environment

# With any of these a connection to a Unix socket fails, or its session is another one.
MEANT_FOR_ANOTHER = {
    "PGCHANNELBINDING": "require",
    "PGCLIENTENCODING": "LATIN1",
    "PGCONNECT_TIMEOUT": "soon",
    "PGDATABASE": "elsewhere",
    "PGGSSENCMODE": "require",
    "PGHOST": "192.0.2.1",
    "PGHOSTADDR": "192.0.2.1",
    "PGLOADBALANCEHOSTS": "often",
    "PGMINPROTOCOLVERSION": "9.9",
    "PGMAXPROTOCOLVERSION": "0.1",
    "PGOPTIONS": "-c no_such_setting=1",
    "PGPASSFILE": "/nonexistent",
    "PGPORT": "1025",
    "PGREQUIREAUTH": "scram-sha-256",
    "PGREQUIREPEER": "nobody_at_all",
    "PGSSLCERTMODE": "require",
    "PGSSLMAXPROTOCOLVERSION": "TLSv1",
    "PGSSLMINPROTOCOLVERSION": "TLSv9",
    "PGSSLMODE": "verify-full",
    "PGSSLNEGOTIATION": "direct",
    "PGSSLROOTCERT": "system",
    "PGTARGETSESSIONATTRS": "standby",
    "PGUSER": "nobody_at_all",
}
SERVERS_OWN = {"PGSERVICE": "no_such_service", "PGTZ": "No/Where", "PGDATESTYLE": "Martian", "PGGEQO": "perhaps"}


@pytest.fixture
def embedded(server_conninfo: str) -> str:
    """A conninfo as EmbeddedServer gives it, of whatever server these tests run on."""
    host, port, user = (connection.conninfo_to_dict(server_conninfo)[name] for name in ("host", "port", "user"))
    facts = {"host": host, "port": port, "user": user, "dbname": "postgres", **libpq.neutral()}
    return connection.make_conninfo("", **facts)


def test_no_variable_of_libpq_reaches_the_server(embedded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in MEANT_FOR_ANOTHER.items():
        monkeypatch.setenv(name, value)
    with psycopg.connect(embedded) as conn:
        assert conn.execute("SELECT current_setting('client_encoding')").fetchone() == ("UTF8",)
        conninfo = connection.again(conn.info)
    connection.connect(conninfo).close()
    assert set(environment(embedded, MEANT_FOR_ANOTHER).values()) & {*MEANT_FOR_ANOTHER.values()} == set()


@pytest.mark.parametrize("name", SERVERS_OWN)
def test_variable_that_no_connection_string_overrides_is_taken_away(
    name: str, embedded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, SERVERS_OWN[name])
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(embedded)
    environ = dict(SERVERS_OWN)
    libpq.leave_out(environ)
    assert environ == {}


def test_each_option_of_the_installed_libpq_has_a_value() -> None:
    options = {option.keyword.decode() for option in Conninfo.get_defaults() if option.envvar}
    assert options - {*libpq.neutral()} == {"service", "user", "dbname", "host", "port", "application_name"} | (
        options & {"servicefile"}
    )


def test_command_on_the_embedded_server_does_without_all_of_them(
    run_here, pgyoyo_server: str, tmp_path, monkeypatch: pytest.MonkeyPatch, embedded: str
) -> None:
    (tmp_path / "0001_a.sql").write_text("CREATE TABLE a ();")
    (tmp_path / "0001_a.rollback.sql").write_text("DROP TABLE a;")
    monkeypatch.setattr(in_memory, "MEMORY", tmp_path / "none")
    monkeypatch.setattr(EmbeddedServer, "ensure_running", lambda self, say: False)
    monkeypatch.setattr(EmbeddedServer, "conninfo", lambda self, dbname: embedded)
    done = run_here("prove", "--migrations", tmp_path, env={**MEANT_FOR_ANOTHER, **SERVERS_OWN})
    assert done.code == 0, done.err
    # They name a database, whose settings would be taken if it could be reached.
    assert done.err.startswith("the settings of the scratch server are taken: cannot connect to libpq's environment")
    assert done.err.count("\n") == 1


def test_error_of_a_lost_server_shows_its_address_only() -> None:
    conninfo = connection.make_conninfo("user=ann host=/nonexistent port=1", **libpq.neutral())
    assert connection.shown(conninfo) == "user=ann host=/nonexistent port=1"
