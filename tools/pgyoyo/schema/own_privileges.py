"""What the migrations' own role is granted: on the scratch server another role owns what they make."""

import re

from pgyoyo.catalog.snapshot import Snapshot
from pgyoyo.scratch import rights

_NONE = "ALL REVOKED"
_OPTION = " WITH GRANT OPTION"
_HAS_COLUMNS = re.compile(r"^(?:(?:foreign )?table|(?:materialized )?view) ")


def as_the_targets(rebuilt: Snapshot, live: Snapshot, scratch: str, target: str) -> Snapshot:
    """The rebuilt catalog with what files grant to the role that owns the objects on the target as privileges of the owner.

    `scratch` and `target` are the names, quoted where needed, of the roles that ran the migrations. An owner has all
    privileges anyway, but for those that were revoked, and may grant all of them. Of what another role owns on the target
    nothing changes. Default privileges of the role on the scratch server are those of the target's.
    """
    runners = [scratch, rights.ROLE] if rights.runner(rights.ROLE) == scratch else [scratch]
    default = re.compile(rf"default for (?:{'|'.join(map(re.escape, runners))})(?= (?:in schema|on) )")
    owned = _owned(rebuilt, scratch) & _owned(live, target)
    result: dict[tuple[str, str], str] = {}
    granted: list[tuple[tuple[str, str], str]] = []
    for (kind, identity), value in rebuilt.items():
        if kind != "privilege":
            result[kind, identity] = value
            continue
        own_default = default.match(identity)
        where = f"default for {target}{identity[own_default.end() :]}" if own_default else identity
        thing = where.removesuffix(f" to {target}")
        if thing != where and (own_default or _object(thing) in owned):
            granted.append(((kind, f"{thing} to its owner"), value.replace(_OPTION, "")))
        else:
            result[kind, where] = _both(result.get((kind, where)), value)
    for key, value in granted:
        # Of these an owner has none by default.
        if key in result or key[1].startswith("column ") or " in schema " in key[1]:
            result[key] = _both(result.get(key), value)
    return result


def _both(known: str | None, value: str) -> str:
    facts = {*(known or _NONE).split("\n"), *value.split("\n")} - {_NONE}
    return "\n".join(sorted(facts)) or _NONE


def _owned(catalog: Snapshot, role: str) -> set[str]:
    """The objects of a role, as in "table public.t"; of what has columns also without the kind."""
    objects = [identity for (kind, identity), owner in catalog.items() if kind == "owner" and owner == role]
    return {name for identity in objects for name in (identity, _HAS_COLUMNS.sub("", identity))}


def _object(thing: str) -> str:
    """The object that privileges are on; the table of a column, without its kind."""
    return thing.removeprefix("column ").rpartition(".")[0] if thing.startswith("column ") else thing
