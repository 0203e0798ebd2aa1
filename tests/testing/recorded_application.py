"""A small application, SQLAlchemy's and asyncpg's, with its tests: test_recording.py runs them in a run of their own.

It keeps a list of what it sent, by its libraries' own hooks, which is what a recording has to hold.
"""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest
from sqlalchemy import ForeignKey, Integer, String, create_engine, delete, event, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload

SENT: list[str] = []


@pytest.fixture(scope="session", autouse=True)
def list_of_what_was_sent() -> Iterator[None]:
    yield
    name = f"sent-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}.json"
    Path(os.environ["SENT"], name).write_text(json.dumps(SENT))


# --- The application, with SQLAlchemy ---


class Base(DeclarativeBase):
    pass


class State(Base):
    __tablename__ = "cj_batch_states"
    batch_id: Mapped[int] = mapped_column(ForeignKey("cj_batch_uploads.id"), primary_key=True)
    total_comparisons: Mapped[int] = mapped_column(Integer, default=0)


class Upload(Base):
    __tablename__ = "cj_batch_uploads"
    id: Mapped[int] = mapped_column(primary_key=True)
    bos_batch_id: Mapped[str] = mapped_column(String(36))
    event_correlation_id: Mapped[str] = mapped_column(String(36), default="c")
    language: Mapped[str] = mapped_column(String(10), default="sv")
    course_code: Mapped[str] = mapped_column(String(50), default="ENG5")
    expected_essay_count: Mapped[int] = mapped_column(Integer, default=1)
    state: Mapped[State | None] = relationship()


@pytest.fixture
def engine(migrated_url: str) -> Iterator[Any]:
    engine = create_engine(migrated_url.replace("postgresql:", "postgresql+psycopg:"))

    @event.listens_for(engine, "before_cursor_execute")
    def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        SENT.append(statement)

    yield engine
    engine.dispose()


def test_uploads_with_states(engine: Any) -> None:
    with Session(engine) as session:
        session.add_all([Upload(bos_batch_id=f"private-{n}", state=State()) for n in range(7)])
        session.commit()
        uploads = session.scalars(select(Upload).options(selectinload(Upload.state)).order_by(Upload.id)).all()
        assert [upload.state.total_comparisons for upload in uploads if upload.state] == [0] * 7
        uploads[0].course_code = "private"
        session.delete(uploads[1].state)
        session.delete(uploads[1])
        session.commit()
        ids = [1, 2, 3]
        session.execute(
            update(State).where(State.batch_id.in_(ids)).values(total_comparisons=State.total_comparisons + 1)
        )
        day = func.date_trunc("day", text("created_at"))
        assert session.execute(select(day, func.count()).select_from(Upload).group_by(day)).all()
        session.rollback()


def test_core_statements_and_texts(engine: Any) -> None:
    table = Upload.__table__
    values = {"event_correlation_id": "c", "language": "sv", "course_code": "E", "expected_essay_count": 1}
    with engine.begin() as conn:
        conn.execute(insert(table), [{"bos_batch_id": str(n), **values} for n in range(3)])
        conn.execute(upsert(table).values(id=1, bos_batch_id="x", **values).on_conflict_do_nothing())
        conn.execute(text("UPDATE cj_batch_uploads SET language = 'private' WHERE bos_batch_id = :id"), {"id": "1"})
        conn.exec_driver_sql("SELECT id FROM cj_batch_uploads WHERE language = 'private' AND id > 5")
        conn.execute(delete(table).where(table.c.id == 1))
    with engine.connect().execution_options(stream_results=True) as conn:
        SENT.append("SELECT id FROM cj_batch_uploads WHERE course_code <> $1")
        assert len(conn.execute(text("SELECT id FROM cj_batch_uploads WHERE course_code <> ''")).all()) == 2


# --- The application, with asyncpg ---


@pytest.fixture
def run(migrated_module_url: str) -> Callable[[Any], None]:
    def run(work: Any) -> None:
        async def connected() -> None:
            conn = await asyncpg.connect(migrated_module_url)
            conn.add_query_logger(lambda query: SENT.append(query.query))
            try:
                await work(conn)
            finally:
                await conn.close()

        asyncio.run(connected())

    return run


INSERT = """
    INSERT INTO cj_batch_uploads (bos_batch_id, event_correlation_id, language, course_code, expected_essay_count)
    VALUES ($1, 'private', $2, 'ENG5', 3)
    RETURNING id
"""


def test_queries(run: Callable[[Any], None]) -> None:
    async def work(conn: asyncpg.Connection) -> None:
        for name in ("a", "b"):
            assert await conn.fetchval(INSERT, name, "sv")
        await conn.executemany(
            "UPDATE cj_batch_uploads SET user_id = $2 WHERE bos_batch_id = $1", [("a", "1"), ("b", "2")]
        )
        # Its hook does not see prepared statements, cursors and COPY.
        SENT.append("SELECT count(*) FROM cj_batch_uploads WHERE bos_batch_id = ANY($1::text[])")
        statement = await conn.prepare(SENT[-1])
        assert await statement.fetchval(["a", "b", "c"]) == 2
        await conn.execute(
            "DELETE FROM cj_batch_states WHERE batch_id = 5; DELETE FROM cj_batch_states WHERE state = 'FAILED'"
        )

    run(work)


def test_cursors_and_copies(run: Callable[[Any], None]) -> None:
    async def work(conn: asyncpg.Connection) -> None:
        async with conn.transaction():
            SENT.append("SELECT id, language FROM cj_batch_uploads WHERE id > $1")
            async for row in conn.cursor(SENT[-1], 0, prefetch=1):
                assert row["language"]
        columns = ["bos_batch_id", "event_correlation_id", "language", "course_code", "expected_essay_count"]
        names = ", ".join(f'"{column}"' for column in columns)
        SENT.append(f'INSERT INTO "cj_batch_uploads" ({names}) VALUES ($1, $2, $3, $4, $5)')
        await conn.copy_records_to_table("cj_batch_uploads", records=[("x", "y", "sv", "E", 1)], columns=columns)
        with pytest.raises(asyncpg.UniqueViolationError):
            await conn.execute("INSERT INTO cj_batch_states (batch_id) VALUES (1), (1)")

    run(work)


# --- The application, with psycopg: in a transaction that is rolled back ---


def test_in_a_transaction(migrated_transaction: psycopg.Connection) -> None:
    for query in (
        "SELECT batch_id FROM cj_batch_states WHERE processing_metadata IS NULL",
        "DELETE FROM cj_batch_uploads",
    ):
        SENT.append(query)
        migrated_transaction.execute(query)
    SENT.append("SELECT batch_id FROM cj_batch_states WHERE state = $1")
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        migrated_transaction.execute("SELECT batch_id FROM cj_batch_states WHERE state = %s", ["no such state"])
