"""The tools that are compared: how each writes migrations down, and its command for each task."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from work import Migration

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Place:
    """Where a tool works: a folder with its files, and a database on the server with that socket and port."""

    folder: Path
    host: str
    port: int
    dbname: str

    def url(self, scheme: str = "postgresql") -> str:
        return f"{scheme}://postgres@/{self.dbname}?host={quote(self.host, safe='')}&port={self.port}"

    @property
    def env(self) -> dict[str, str]:
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("PG", "PYTHON", "DATABASE_URL"))
        }
        facts = {"PGHOST": self.host, "PGPORT": str(self.port), "PGUSER": "postgres", "PGDATABASE": self.dbname}
        return clean | facts | {"DATABASE_URL": self.url(), "NO_COLOR": "1"}


@dataclass(frozen=True)
class Command:
    """A process to be run in the place's folder; `env` is added to the place's own."""

    words: Sequence[str | Path]
    env: dict[str, str] = field(default_factory=dict)


class Tool:
    """One tool. A task that it doesn't have is None; `missing` says why it can't take part."""

    name = ""
    missing = ""

    def install(self, home: Path) -> None:
        """Make it ready to run, or set `missing`; `home` is kept from run to run."""

    def write(self, folder: Path, migrations: Sequence[Migration]) -> None:
        """Write the migrations as this tool wants them."""
        raise NotImplementedError

    def apply(self, place: Place) -> Command | None:
        return None

    def apply_file(self, place: Place) -> Command | None:
        """Apply where there is one migration only."""
        return self.apply(place)

    def nothing(self, place: Place) -> Command | None:
        """Apply where nothing is pending."""
        return self.apply(place)

    def status(self, place: Place) -> Command | None:
        return None

    def rollback(self, place: Place, count: int) -> Command | None:
        return None


def _write_pairs(folder: Path, migrations: Sequence[Migration]) -> None:
    """x.sql and x.rollback.sql."""
    for one in migrations:
        head = f"-- Step {one.name}.\n\n"
        (folder / f"{one.name}.sql").write_text(f"{head}{one.up}\n")
        (folder / f"{one.name}.rollback.sql").write_text(f"{head}{one.down}\n")


class Psql(Tool):
    """One session, each file in a transaction with a ledger INSERT, a single file with -1: the work without a tool."""

    name = "psql"

    def __init__(self, program: Path) -> None:
        self.program = program

    def write(self, folder: Path, migrations: Sequence[Migration]) -> None:
        _write_pairs(folder, migrations)
        up = [
            f"BEGIN;\n\\i {m.name}.sql\nINSERT INTO ledger VALUES ('{m.name}', now());\nCOMMIT;\n" for m in migrations
        ]
        down = [
            f"BEGIN;\n\\i {m.name}.rollback.sql\nDELETE FROM ledger WHERE id = '{m.name}';\nCOMMIT;\n"
            for m in reversed(migrations)
        ]
        create = "CREATE TABLE IF NOT EXISTS ledger (id text PRIMARY KEY, at timestamptz NOT NULL);\n"
        (folder / "apply").write_text(create + "".join(up))
        (folder / "rollback").write_text("".join(down))

    def _command(self, *words: str) -> Command:
        return Command([self.program, "-X", "-q", "-v", "ON_ERROR_STOP=1", *words])

    def apply(self, place: Place) -> Command:
        return self._command("-f", "apply")

    def apply_file(self, place: Place) -> Command:
        [file] = [path for path in place.folder.glob("*.sql") if ".rollback" not in path.name]
        return self._command("-1", "-f", file.name)

    def nothing(self, place: Place) -> Command:
        return self._command("-c", "SELECT id FROM ledger")

    def status(self, place: Place) -> Command:
        return self._command("-c", "SELECT id, at FROM ledger ORDER BY id")

    def rollback(self, place: Place, count: int) -> Command:
        return self._command("-f", "rollback")


class Pgyoyo(Tool):
    name = "pgyoyo"

    def write(self, folder: Path, migrations: Sequence[Migration]) -> None:
        _write_pairs(folder, migrations)

    def apply(self, place: Place) -> Command:
        return Command([BIN / "pgyoyo", "apply", "--migrations", "."])

    def status(self, place: Place) -> Command:
        return Command([BIN / "pgyoyo", "status", "--migrations", "."])

    def rollback(self, place: Place, count: int) -> Command:
        return Command([BIN / "pgyoyo", "rollback", "--all", "--yes", "--migrations", "."])


class Bare(Tool):
    """What connecting costs in Python: an import, a connection, a query."""

    name = "python"

    def nothing(self, place: Place) -> Command:
        code = f"import psycopg; psycopg.connect({place.url()!r}).execute('SELECT 1')"
        return Command([BIN / "python", "-c", code])


class Yoyo(Tool):
    """yoyo 9.0.0 as it is, with its psycopg 3 driver."""

    name = "yoyo"

    def write(self, folder: Path, migrations: Sequence[Migration]) -> None:
        _write_pairs(folder, migrations)

    def _command(self, place: Place, *words: str) -> Command:
        address = ["--batch", "--no-config-file", "--database", place.url("postgresql+psycopg"), "."]
        return Command([BIN / "yoyo", *words, *address])

    def apply(self, place: Place) -> Command:
        return self._command(place, "apply")

    def status(self, place: Place) -> Command:
        return self._command(place, "list")

    def rollback(self, place: Place, count: int) -> Command:
        return self._command(place, "rollback", "--all")


class Alembic(Tool):
    """A revision a migration, its SQL handed to op.execute; a transaction each."""

    name = "Alembic"

    def install(self, home: Path) -> None:
        self.program = home / "python" / "bin" / "alembic"
        if not self.program.exists():
            try:
                subprocess.run([sys.executable, "-m", "venv", home / "python"], check=True, capture_output=True)
                pip = [home / "python" / "bin" / "pip", "install", "-q", "--disable-pip-version-check"]
                subprocess.run([*pip, "alembic>=1.16,<2", "psycopg[binary]>=3.2,<4"], check=True, capture_output=True)
            except (OSError, subprocess.CalledProcessError) as error:
                self.missing = f"it can't be installed with pip ({error})"

    def write(self, folder: Path, migrations: Sequence[Migration]) -> None:
        (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\n")
        (folder / "env.py").write_text(
            "import os\nimport sqlalchemy\nfrom alembic import context\n"
            'engine = sqlalchemy.create_engine(os.environ["ALEMBIC_URL"])\n'
            "with engine.connect() as connection:\n"
            "    context.configure(connection=connection, transaction_per_migration=True)\n"
            "    with context.begin_transaction():\n        context.run_migrations()\n"
        )
        (folder / "versions").mkdir()
        before = None
        for one in migrations:
            (folder / "versions" / f"{one.name}.py").write_text(
                f"from alembic import op\n\nrevision = {one.name!r}\ndown_revision = {before!r}\n\n\n"
                f'def upgrade():\n    op.execute(r"""{one.up}""")\n\n\ndef downgrade():\n    op.execute(r"""{one.down}""")\n'
            )
            before = one.name

    def _command(self, place: Place, *words: str) -> Command:
        return Command([self.program, *words], {"ALEMBIC_URL": place.url("postgresql+psycopg")})

    def apply(self, place: Place) -> Command:
        return self._command(place, "upgrade", "head")

    def status(self, place: Place) -> Command:
        return self._command(place, "current")

    def rollback(self, place: Place, count: int) -> Command:
        return self._command(place, "downgrade", "base")


class _FromNpm(Tool):
    """A tool that comes as an npm package."""

    package = ""
    program = ""

    def install(self, home: Path) -> None:
        npm = shutil.which("npm")
        if npm is None:
            self.missing = "npm is not there"
            return
        self.home = home / "npm"
        if not (self.home / "node_modules" / self.package).exists():
            words = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(self.home)]
            done = subprocess.run(
                [*words, *self.package.split(), *self.also], capture_output=True, text=True, check=False
            )
            if done.returncode:
                self.missing = f"npm can't install it ({(done.stderr or done.stdout).strip()[-200:]})"
                return
        found = list((self.home / "node_modules").glob(self.program))
        if not found:
            self.missing = f"its npm package has no {self.program} for this machine"
        self.path = found[0] if found else self.home

    also: Sequence[str] = ()


class Dbmate(_FromNpm):
    """Its compiled program, without the script of npm's around it. It rolls back one migration at a time."""

    name = "dbmate"
    package = "dbmate"
    program = "@dbmate/*/bin/dbmate"

    def write(self, folder: Path, migrations: Sequence[Migration]) -> None:
        for one in migrations:
            (folder / f"{one.name}.sql").write_text(f"-- migrate:up\n{one.up}\n\n-- migrate:down\n{one.down}\n")

    def _command(self, place: Place, word: str) -> Command:
        url = f"postgres://postgres@:{place.port}/{place.dbname}?sslmode=disable&socket={quote(place.host, safe='')}"
        return Command([self.path, "--url", url, "--migrations-dir", ".", "--no-dump-schema", word])

    def apply(self, place: Place) -> Command:
        return self._command(place, "migrate")

    def status(self, place: Place) -> Command:
        return self._command(place, "status")


class NodePgMigrate(_FromNpm):
    """Migrations in SQL, a transaction each."""

    name = "node-pg-migrate"
    package = "node-pg-migrate"
    program = ".bin/node-pg-migrate"
    also = ("pg",)

    def write(self, folder: Path, migrations: Sequence[Migration]) -> None:
        for number, one in enumerate(migrations):
            # It wants a number of a timestamp's length.
            name = f"{1700000000000 + number}_{one.name}.sql"
            (folder / name).write_text(f"-- Up Migration\n{one.up}\n\n-- Down Migration\n{one.down}\n")

    def _command(self, *words: str) -> Command:
        return Command([self.path, *words, "-m", ".", "--no-single-transaction", "--no-verbose"])

    def apply(self, place: Place) -> Command:
        return self._command("up")

    def rollback(self, place: Place, count: int) -> Command:
        return self._command("down", str(count))


class Sqitch(Tool):
    """A plan with a change for each migration, without verify scripts; it starts a psql for each."""

    name = "Sqitch"

    def install(self, home: Path) -> None:
        self.program = shutil.which("sqitch") or ""
        self.missing = "" if self.program else "it is not installed"

    def write(self, folder: Path, migrations: Sequence[Migration]) -> None:
        (folder / "sqitch.conf").write_text(
            "[core]\n    engine = pg\n[user]\n    name = B\n    email = b@example.org\n"
        )
        plan = ["%syntax-version=1.0.0", "%project=bench", ""]
        (folder / "deploy").mkdir()
        (folder / "revert").mkdir()
        for one in migrations:
            plan.append(f"{one.name} 2026-01-01T00:00:00Z B <b@example.org> # a step")
            (folder / "deploy" / f"{one.name}.sql").write_text(f"BEGIN;\n{one.up}\nCOMMIT;\n")
            (folder / "revert" / f"{one.name}.sql").write_text(f"BEGIN;\n{one.down}\nCOMMIT;\n")
        (folder / "sqitch.plan").write_text("\n".join(plan) + "\n")

    def _command(self, place: Place, *words: str) -> Command:
        return Command([self.program, *words, f"db:pg:{place.dbname}"])

    def apply(self, place: Place) -> Command:
        return self._command(place, "deploy", "--no-verify")

    def status(self, place: Place) -> Command:
        return self._command(place, "status")

    def rollback(self, place: Place, count: int) -> Command:
        return self._command(place, "revert", "-y")
