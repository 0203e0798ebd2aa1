"""What can be compared of two catalogs that different roles made, on servers of different versions."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from pgyoyo.catalog.snapshot import Snapshot
from pgyoyo.identifiers import quoted
from pgyoyo.schema import own_privileges
from pgyoyo.schema.view_texts import as_since_16


class Origin(NamedTuple):
    """Where a catalog was read: the server's version (a server_version_num), and who ran the migrations there."""

    version: int
    role: str


def comparable(
    rebuilt: Snapshot,
    live: Snapshot,
    scratch: Origin,
    target: Origin,
    roles: Collection[str],
    *,
    owners: bool,
    given: Collection[str] = (),
) -> tuple[Snapshot, Snapshot, list[str]]:
    """Both, read with owners, as far as they can be compared, and notes on what can't be.

    What the migrations' own role owns on the scratch server belongs to the migrations' own role of the target, and so do its
    privileges. Without
    `owners`, owners are compared only where all of the target's are among the `roles` of the scratch server: elsewhere the
    migrations can't have given it to them there. The owners of the schemas that are `given`, not made by a migration, don't
    count, nor does that of public. Names of roles are quoted where needed.
    """
    notes = []
    rebuilt = own_privileges.as_the_targets(rebuilt, live, scratch.role, target.role)
    strangers = set(_owners(live).values()) - set(roles) - {target.role}
    if strangers and not owners:
        several = ", ".join(sorted(strangers))
        notes.append(f"owners not compared, since the scratch server has no role {several}; compare them: --owners")
    if strangers and not owners:
        rebuilt, live = _without_owners(rebuilt), _without_owners(live)
    else:
        names = {name for plain in ("public", *given) for name in (plain, quoted(plain))}
        both = (_owners(rebuilt).keys() & _owners(live).keys()) - {("owner", f"schema {name}") for name in names}
        rebuilt = {key: _owner(value, scratch, target, key) for key, value in rebuilt.items() if _counts(key, both)}
        live = {key: value for key, value in live.items() if _counts(key, both)}
    if min(scratch.version, target.version) < 160000 <= max(scratch.version, target.version):
        rebuilt, live = (
            as_since_16(catalog) if version < 160000 else catalog
            for catalog, version in ((rebuilt, scratch.version), (live, target.version))
        )
    if min(scratch.version, target.version) < 180000 <= max(scratch.version, target.version):
        # Before 18 a NOT NULL has no name, and no other property of its own.
        rebuilt, live = (
            {
                key: value
                for key, value in catalog.items()
                if key[0] != "constraint" or not value.startswith("NOT NULL ")
            }
            for catalog in (rebuilt, live)
        )
    return rebuilt, live, notes


def _owners(catalog: Snapshot) -> Mapping[tuple[str, str], str]:
    return {key: value for key, value in catalog.items() if key[0] == "owner"}


def _without_owners(catalog: Snapshot) -> Snapshot:
    return {key: value for key, value in catalog.items() if key[0] != "owner"}


def _counts(key: tuple[str, str], both: Collection[tuple[str, str]]) -> bool:
    """Whether a row counts: the owner of what only one of the catalogs has does not."""
    return key[0] != "owner" or key in both


def _owner(value: str, scratch: Origin, target: Origin, key: tuple[str, str]) -> str:
    return target.role if key[0] == "owner" and value == scratch.role else value
