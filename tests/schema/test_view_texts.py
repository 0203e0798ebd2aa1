"""Views of a server before PostgreSQL 16, as a newer one writes them; both texts of each pair are those of real servers."""

import pytest

from pgyoyo.catalog.snapshot import difference
from pgyoyo.schema.comparable import Origin, comparable

OLD, NEW = Origin(150018, "app"), Origin(160014, "app")
# Blanks are shortened.
WRITTEN = {
    "columns, an expression, a query within": (
        ' SELECT t.a, t.b AS "B", (t.id + t.a) AS s, ( SELECT count(*) FROM u WHERE (u.t_id = t.id)) AS n FROM t;',
        ' SELECT a, b AS "B", (id + a) AS s, ( SELECT count(*) FROM u WHERE (u.t_id = t.id)) AS n FROM t;',
    ),
    "a column before IN": (
        " SELECT t.a FROM t WHERE (t.a IN ( SELECT u.t_id FROM u WHERE (u.id > t.a)));",
        " SELECT a FROM t WHERE (a IN ( SELECT u.t_id FROM u WHERE (u.id > t.a)));",
    ),
    "WITH": (
        " WITH w AS ( SELECT t.a FROM public.t ) SELECT w.a FROM w;",
        " WITH w AS ( SELECT t.a FROM public.t ) SELECT a FROM w;",
    ),
    "quotes, an aggregate, options": (
        ' SELECT "ü.t"."Odd", max("ü.t".id) AS max FROM "ü.t" GROUP BY "ü.t"."Odd";\nWITH security_barrier=true',
        ' SELECT "Odd", max(id) AS max FROM "ü.t" GROUP BY "Odd";\nWITH security_barrier=true',
    ),
    "a function": (" SELECT g.g FROM generate_series(1, 3) g(g);", " SELECT g FROM generate_series(1, 3) g(g);"),
    "a query in FROM": (
        " SELECT s.a FROM ( SELECT t.a FROM public.t) s;",
        " SELECT a FROM ( SELECT t.a FROM public.t) s;",
    ),
    "a window": (
        " SELECT row_number() OVER (PARTITION BY t.b ORDER BY t.a) AS row_number FROM public.t;",
        " SELECT row_number() OVER (PARTITION BY b ORDER BY a) AS row_number FROM public.t;",
    ),
    "a whole row": (" SELECT t.*::public.t AS t FROM public.t;",) * 2,
    "a join": (" SELECT x.a, u.id FROM (public.t x JOIN public.u ON ((u.t_id = x.id)));",) * 2,
    "two tables": (" SELECT x.a, u.id FROM public.t x, public.u;",) * 2,
    "UNION": (" SELECT t.a FROM public.t UNION ALL SELECT (u.id)::integer AS a FROM public.u;",) * 2,
    "no table": (" SELECT 1 AS one;",) * 2,
    "VALUES": (" VALUES (1,'x'::text);",) * 2,
}


@pytest.mark.parametrize("name", WRITTEN)
def test_view_is_the_same_on_both_sides_of_16(name: str) -> None:
    old, new = ({("view", "public.v"): text, ("materialized view", "public.m"): text} for text in WRITTEN[name])
    for before, after, scratch, target in ((new, old, NEW, OLD), (old, new, OLD, NEW)):
        assert difference(*comparable(before, after, scratch, target, {"app"}, owners=False)[:2]) == []


def test_view_that_is_another_differs_still() -> None:
    rebuilt, live = {("view", "v"): " SELECT a\n   FROM t;"}, {("view", "v"): " SELECT t.b\n   FROM t;"}
    changes = difference(*comparable(rebuilt, live, NEW, OLD, {"app"}, owners=False)[:2])
    assert [str(change) for change in changes] == ["view v:  SELECT a →  SELECT b"]
    # Between servers that write alike each text counts.
    assert difference(
        *comparable(rebuilt, {("view", "v"): " SELECT t.a\n   FROM t;"}, NEW, NEW, {"app"}, owners=False)[:2]
    )
