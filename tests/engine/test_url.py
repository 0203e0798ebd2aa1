"""Database URLs of other libraries: each in libpq's words, nothing of a password in an error."""

import pytest
from psycopg.conninfo import conninfo_to_dict

from pgyoyo.engine.connection import normalize, shown
from pgyoyo.engine.url import left_out
from pgyoyo.errors import UsageError

SCHEMES = [
    "postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2", "postgresql+asyncpg", "postgresql+psycopg_async",
    "postgresql+pgyoyo", "postgres+aiopg", "postgis", "pgsql", "timescale", "POSTGRES",
]  # fmt: skip


@pytest.mark.parametrize("scheme", SCHEMES)
def test_scheme_of_any_driver_is_libpqs(scheme: str) -> None:
    facts = conninfo_to_dict(normalize(f"{scheme}://ann:p%40ss@h:5433/d?sslmode=require"))
    assert facts == {
        "user": "ann",
        "password": "p@ss",
        "host": "h",
        "port": "5433",
        "dbname": "d",
        "sslmode": "require",
    }


@pytest.mark.parametrize(
    ("query", "facts"),
    [
        ("pool_size=5&max_overflow=10&connect_timeout=3", {"connect_timeout": "3"}),
        ("conn_max_age=600&conn_health_checks=True", {}),
        ("prepared_statement_cache_size=0&statement_cache_size=0", {}),
        ("ssl=require", {"sslmode": "require"}),
        ("ssl=true", {"sslmode": "require"}),
        ("ssl_require=True", {"sslmode": "require"}),
        ("schema=app", {"options": "-csearch_path=app"}),
        ("search_path=app,public", {"options": "-csearch_path=app,public"}),
        ("options=-clock_timeout%3D5s&schema=a%20b", {"options": "-clock_timeout=5s -csearch_path=a\\ b"}),
        ("ApplicationName=app&charset=utf8", {"application_name": "app"}),
        ("pgbouncer=true&connection_limit=1&&", {}),
        ("unix_sock=/var/run", {"host": "/var/run"}),
    ],
)
def test_query_keys_of_libraries_are_translated_or_left_out(query: str, facts: dict[str, str]) -> None:
    found = conninfo_to_dict(normalize(f"postgresql+asyncpg://ann@/d?{query}"))
    assert {name: value for name, value in found.items() if name not in ("user", "dbname")} == facts


def test_what_nobody_means_is_refused_with_what_it_may_be() -> None:
    with pytest.raises(UsageError, match="did you mean sslmode"):
        normalize("postgresql://ann:secret@h/d?sslmod=require&pool_size=5")
    assert "secret" not in shown("postgresql://ann:secret@h/d?pool_size=5")
    with pytest.raises(UsageError) as caught:
        normalize("postgresql+asyncpg://ann:sec?ret@h/d?pool_size=5")
    assert "ret" not in str(caught.value).replace("libpq", "").replace("secret", "").split("write")[0]


def test_what_is_left_out_can_be_named() -> None:
    assert list(left_out("postgresql://h/d?pool_size=5&sslmode=require&Conn_Max_Age=1")) == [
        "pool_size",
        "Conn_Max_Age",
    ]
