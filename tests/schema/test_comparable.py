"""Owners and versions of two catalogs."""

import pytest

from pgyoyo.catalog.snapshot import Snapshot, difference
from pgyoyo.schema.comparable import Origin, comparable
from pgyoyo.schema.own_privileges import as_the_targets

SCRATCH = Origin(180000, "postgres")
NOT_COMPARED = "owners not compared, since the scratch server has no role stranger; compare them: --owners"
LIVE = Origin(180000, "deploy")


def owned(**owners: str) -> Snapshot:
    return {("owner", f"table {name}"): role for name, role in owners.items()}


@pytest.mark.parametrize(
    ("rebuilt", "live", "owners", "told"),
    [
        (owned(a="postgres", b="app"), owned(a="deploy", b="app"), False, []),
        (owned(a="postgres"), owned(a="app"), False, ["owner table a: deploy → app"]),
        (owned(a="app"), owned(a="deploy"), False, ["owner table a: app → deploy"]),
        (owned(a="postgres"), owned(a="stranger"), False, [NOT_COMPARED]),
        (owned(a="postgres"), owned(a="stranger"), True, ["owner table a: deploy → stranger"]),
        (owned(a="postgres", b="app"), owned(a="deploy"), False, []),
    ],
    ids=["the migrations' own role", "changed by hand", "taken back", "role is not there", "asked for", "only in one"],
)  # fmt: skip
def test_owners_count_where_the_roles_are_known(
    rebuilt: Snapshot, live: Snapshot, owners: bool, told: list[str]
) -> None:
    before, after, notes = comparable(rebuilt, live, SCRATCH, LIVE, {"postgres", "app"}, owners=owners)
    assert [*notes, *map(str, difference(before, after))] == told


@pytest.mark.parametrize(("version", "lines"), [(160000, 0), (180000, 1)])
def test_names_of_not_null_count_between_servers_that_keep_them(version: int, lines: int) -> None:
    rebuilt = {("constraint", "mail_is_known on public.t"): "NOT NULL mail"}
    before, after, _ = comparable(rebuilt, {}, SCRATCH, Origin(version, "postgres"), {"postgres"}, owners=False)
    assert len(difference(before, after)) == lines


def test_owner_of_schema_public_is_another_before_15() -> None:
    rebuilt, live = ({("owner", "schema public"): role} for role in ("pg_database_owner", "postgres"))
    before, after, _ = comparable(rebuilt, live, SCRATCH, Origin(140000, "deploy"), {"postgres"}, owners=False)
    assert difference(before, after) == []


# Privileges on the scratch server, where "postgres" owns all but what another role has, and on the target of "deploy".
OWN = {
    "table t to deploy": ("SELECT WITH GRANT OPTION", {}),
    "column t.a to deploy": ("UPDATE WITH GRANT OPTION", {"column t.a to its owner": "UPDATE"}),
    "column v.a to deploy": ("UPDATE", {"column v.a to its owner": "UPDATE"}),
    "table other to deploy": ("SELECT", {"table other to deploy": "SELECT"}),
    "table moved to deploy": ("SELECT", {"table moved to deploy": "SELECT"}),
    "default for postgres on tables to app": ("SELECT", {"default for deploy on tables to app": "SELECT"}),
    "default for pgyoyo_files on tables to app": ("SELECT", {"default for deploy on tables to app": "SELECT"}),
    "default for pgyoyo_files on tables to deploy": ("SELECT", {}),
    "default for postgres in schema s on tables to deploy": (
        "SELECT",
        {"default for deploy in schema s on tables to its owner": "SELECT"},
    ),
    "default for app on tables to deploy": ("SELECT", {"default for app on tables to deploy": "SELECT"}),
}


def test_what_the_targets_own_role_is_granted_it_has_as_owner() -> None:
    def owners(**roles: str) -> Snapshot:
        kinds = {"v": "view"}
        return {("owner", f"{kinds.get(name, 'table')} {name}"): role for name, role in roles.items()}

    rebuilt = owners(t="postgres", v="postgres", other="app", moved="postgres")
    live = owners(t="deploy", v="deploy", other="app", moved="app")
    for identity, (value, expected) in OWN.items():
        row = {("privilege", identity): value}
        after = as_the_targets({**rebuilt, **row}, live, "postgres", "deploy")
        assert {key[1]: value for key, value in after.items() if key[0] == "privilege"} == expected, identity
    revoked = {
        ("privilege", "table t to its owner"): "ALL REVOKED",
        ("privilege", "table t to deploy"): "INSERT\nSELECT",
    }
    after = as_the_targets({**rebuilt, **revoked}, live, "postgres", "deploy")
    assert after["privilege", "table t to its owner"] == "INSERT\nSELECT"
