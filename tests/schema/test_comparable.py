"""Owners and versions of two catalogs."""

import pytest

from pgyoyo.catalog.snapshot import Snapshot, difference
from pgyoyo.schema.comparable import Origin, comparable

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
