"""Plans: yoyo's order, what files and ledger differ in, and what is chosen to run."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yoyo
from hypothesis import given, settings
from hypothesis import strategies as st
from yoyo.migrations import topological_sort

from pgyoyo.errors import RollbackRefusedError, UsageError
from pgyoyo.migrations import migration, plan, reader
from pgyoyo.migrations.migration import Migration
from pgyoyo.migrations.plan import find, to_apply, to_roll_back
from pgyoyo.migrations.status import Applied, Ledger, Status

START = datetime(2026, 3, 2, 12, 0)


def one(name: str, *depends: str, text: str = "SELECT 1;", rollback: str | None = None) -> Migration:
    header = f"-- depends: {' '.join(depends)}\n" if depends else ""
    return reader.from_texts(name, header + text, rollback)


def row(name: str, of: Migration | None = None) -> Applied:
    """A ledger row; with the checksums of `of`, or as the plain yoyo writes it."""
    checksums = (of.apply.checksum, of.rollback.checksum if of.rollback else None) if of else (None, None)
    return Applied(name, migration.hash_of(name), START, *checksums)


def rows(*names: str) -> list[Applied]:
    return [Applied(name, migration.hash_of(name), START + timedelta(days=i)) for i, name in enumerate(names)]


def ids(migrations) -> list[str]:
    return [each.id for each in migrations]


# --- order ---


@dataclass(frozen=True)
class Theirs:
    """What yoyo's sort looks at in its own Migration."""

    id: str
    needs: tuple["Theirs", ...]

    @property
    def depends(self) -> set["Theirs"]:
        return set(self.needs)


@settings(deadline=None)
@given(st.integers(0, 12), st.randoms(use_true_random=False))
def test_order_is_yoyos_for_any_dependencies_in_any_input_order(size: int, chance: random.Random) -> None:
    theirs: list[Theirs] = []
    for number in range(size):
        needs = chance.sample(theirs, min(len(theirs), chance.choice([0, 0, 0, 1, 1, 2, 3])))
        theirs.append(Theirs(f"m{number}", tuple(needs)))
    chance.shuffle(theirs)
    given_ = [one(each.id, *ids(each.needs)) for each in theirs]
    assert ids(plan.order(given_)) == ids(topological_sort(theirs))
    # A part of them, as what is pending is: dependencies that are applied already stand outside.
    part = [number for number in range(size) if chance.random() < 0.6]
    assert ids(plan.order(given_[i] for i in part)) == ids(topological_sort([theirs[i] for i in part]))


def test_order_of_real_files_is_yoyos(tmp_path: Path) -> None:
    for name, needs in {"a": "d", "b": "", "c": "a b", "d": "e", "e": ""}.items():
        (tmp_path / f"{name}.sql").write_text(f"-- depends: {needs}\nSELECT 1;")
    theirs = ids(topological_sort(yoyo.read_migrations(str(tmp_path))))
    assert ids(plan.order(reader.read([str(tmp_path)]).migrations)) == theirs == ["b", "e", "d", "a", "c"]


# --- compare ---


def compare(files: list, applied: list) -> Status:
    return plan.compare(files, Ledger("public", tuple(applied)))


def test_fresh_database_has_everything_pending() -> None:
    assert plan.compare([one("a"), one("b")], Ledger(None, ())) == Status(None, (), (one("a"), one("b")), (), (), ())


def test_applied_stay_in_the_order_of_applying_and_pending_in_yoyos() -> None:
    files = [one("a", "d"), one("b"), one("c"), one("d"), one("e")]
    found = compare(files, rows("c", "b"))
    assert ids(found.applied) == ["c", "b"]
    assert ids(found.pending) == ["d", "a", "e"]


def test_edited_is_what_differs_from_its_row_in_either_file() -> None:
    same, changed, lost, other = one("a"), one("b"), one("c"), one("d", rollback="SELECT 2;")
    before = [row("a", same), row("b", one("b", text="SELECT 0;")), row("c", one("c", rollback="x"))]
    before.append(row("d", one("d", rollback="SELECT 3;")))
    assert ids(compare([same, changed, lost, other], before).edited) == ["b", "c", "d"]


def test_rollback_file_that_is_added_later_is_no_edit() -> None:
    assert compare([one("a", rollback="SELECT 2;")], [row("a", one("a"))]).edited == ()


def test_row_without_a_checksum_is_never_edited() -> None:
    assert compare([one("a", rollback="SELECT 1;")], [row("a")]).edited == ()


def test_missing_is_applied_without_a_file_in_the_order_of_applying() -> None:
    found = compare([one("b")], rows("z", "b", "a"))
    assert ids(found.missing) == ["z", "a"]
    assert ids(found.applied) == ["z", "b", "a"]


def test_late_is_pending_before_an_applied_one() -> None:
    files = [one("a"), one("b"), one("c"), one("d")]
    assert ids(compare(files, rows("c", "a")).out_of_order) == ["b"]
    assert compare(files, rows("a", "b")).out_of_order == ()
    assert compare(files, rows("z")).out_of_order == ()


def test_what_depends_puts_behind_an_applied_one_is_not_late() -> None:
    # A new database gets b first, then a: with b applied, a comes as it would there.
    files = [one("a", "b"), one("b"), one("c")]
    assert compare(files, rows("b")).out_of_order == ()
    assert ids(compare(files, rows("b", "c")).out_of_order) == ["a"]


@settings(deadline=None)
@given(st.integers(0, 6), st.randoms(use_true_random=False))
def test_whoever_applies_everything_in_order_never_sees_a_late_one(size: int, chance: random.Random) -> None:
    names = [f"m{i}" for i in range(size)]
    needs = {name: chance.sample(names[:i], min(i, chance.choice([0, 0, 1, 2]))) for i, name in enumerate(names)}
    chance.shuffle(names)
    files = [one(name, *needs[name]) for name in names]
    ordered = ids(plan.order(files))
    for done in range(size + 1):
        found = compare(files, rows(*ordered[:done]))
        assert (found.out_of_order, ids(found.pending)) == ((), ordered[done:])


# --- find ---

IDS = ["0001_create_users", "0002_add_email", "0010_add_index", "20240101_x", "20240102_y"]


@pytest.mark.parametrize(
    ("name", "found"),
    [("0002_add_email", "0002_add_email"), ("0002", "0002_add_email"), ("0002_a", "0002_add_email"),
     ("sql/migrations/0002_add_email.sql", "0002_add_email"), ("0002_add_email.rollback.sql", "0002_add_email"),
     ("../a.sql/0002_add_email.py", "0002_add_email"), ("2", "0002_add_email"),
     ("10", "0010_add_index"), ("20240101", "20240101_x"), ("00001", "0001_create_users")],
)  # fmt: skip
def test_find_takes_an_id_its_beginning_or_its_number(name: str, found: str) -> None:
    assert find(name, IDS) == found


def test_find_prefers_the_whole_id_then_the_number() -> None:
    assert find("1", ["1", "10", "1_a"]) == "1"
    assert find("1", ["1_a", "10_b", "11_c"]) == "1_a"
    assert find("0001_a", ["0001_a", "0001_a_b"]) == "0001_a"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("0002_add_emial", 'no migration "0002_add_emial"; did you mean 0002_add_email?'),
        ("0003", 'no migration "0003"; `pgyoyo status` lists them'),
        ("sql/zzz.sql", 'no migration "sql/zzz.sql"; `pgyoyo status` lists them'),
        ("zzz", 'no migration "zzz"; `pgyoyo status` lists them'),
        ("3", 'no migration "3"; `pgyoyo status` lists them'),
        ("²", 'no migration "²"; `pgyoyo status` lists them'),
        ("0003_create_usage", 'no migration "0003_create_usage"; `pgyoyo status` lists them'),
        ("0003_create_users", 'no migration "0003_create_users"; did you mean 0001_create_users?'),
        ("add_email", 'no migration "add_email"; did you mean 0002_add_email?'),
        ("2024", '"2024" matches 20240101_x, 20240102_y; write more of the id'),
        ("00", '"00" matches 0001_create_users, 0002_add_email, 0010_add_index; write more of the id'),
    ],
)
def test_find_says_what_it_could_be(name: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        find(name, IDS)
    assert str(caught.value) == words


def test_two_with_one_number_are_not_found_by_it() -> None:
    with pytest.raises(UsageError, match='"1" matches 0001_a, 0001_b; write more of the id'):
        find("1", ["0001_a", "0001_b"])


# --- to_apply ---


def test_without_a_target_all_that_is_pending_is_applied() -> None:
    assert ids(to_apply(compare([one("a"), one("b"), one("c")], rows("b")))) == ["a", "c"]


def test_up_to_a_target_everything_before_it_and_what_it_depends_on_is_applied() -> None:
    status = compare([one("a"), one("b", "d"), one("c"), one("d"), one("e")], rows("a"))
    assert ids(to_apply(status, target="c")) == ["c"]
    assert ids(to_apply(status, target="b")) == ["c", "d", "b"]
    assert ids(to_apply(status, target="e")) == ["c", "d", "b", "e"]


def test_nothing_is_applied_up_to_a_target_that_is_applied_with_or_without_its_file() -> None:
    status = compare([one("a"), one("b"), one("c")], rows("b", "gone"))
    assert to_apply(status, target="b") == []
    assert to_apply(status, target="gone") == []


# --- to_roll_back ---

APPLIED = rows("a", "c", "b", "d")


def test_the_last_applied_is_rolled_back_if_nothing_is_asked_for() -> None:
    assert ids(to_roll_back(APPLIED, {})) == ["d"]
    assert to_roll_back([], {}) == []


@pytest.mark.parametrize(("count", "gone"), [(1, "d"), (2, "d b"), (4, "d b c a"), (9, "d b c a"), (0, "")])
def test_count_rolls_back_the_last_ones_backwards(count: int, gone: str) -> None:
    assert ids(to_roll_back(APPLIED, {}, count=count)) == gone.split()


@pytest.mark.parametrize(("target", "gone"), [("d", ""), ("b", "d"), ("c", "d b"), ("a", "d b c")])
def test_target_stays_and_what_was_applied_after_it_goes(target: str, gone: str) -> None:
    assert ids(to_roll_back(APPLIED, {}, target=target)) == gone.split()


def test_everything_goes_backwards() -> None:
    assert ids(to_roll_back(APPLIED, {}, everything=True)) == ["d", "b", "c", "a"]
    assert to_roll_back([], {}, everything=True) == []


def test_ids_go_in_the_reverse_order_of_applying_whatever_order_they_are_given_in() -> None:
    assert ids(to_roll_back(APPLIED, {}, ids=["a", "b", "c", "b"])) == ["b", "c", "a"]


def test_what_others_depend_on_does_not_go_without_them() -> None:
    needs = {"a": [], "c": ["a"], "b": ["a", "c"], "d": []}
    with pytest.raises(RollbackRefusedError) as caught:
        to_roll_back(APPLIED, needs, ids=["c"])
    assert str(caught.value) == "b depends on c and stays applied; roll it back too, or first"
    with pytest.raises(RollbackRefusedError, match=r"^c depends on a and stays applied"):
        to_roll_back(APPLIED, needs, ids=["a", "d"])
    assert ids(to_roll_back(APPLIED, needs, ids=["c", "b"])) == ["b", "c"]
    assert ids(to_roll_back(APPLIED, needs, everything=True)) == ["d", "b", "c", "a"]


def test_dependent_applied_earlier_than_what_it_needs_is_not_left_behind() -> None:
    # The plain yoyo marks in any order.
    with pytest.raises(RollbackRefusedError, match=r"^a depends on d and stays applied"):
        to_roll_back(APPLIED, {"a": ["d"]})


def test_dependents_that_are_not_applied_do_not_matter() -> None:
    assert ids(to_roll_back(APPLIED, {"z": ["d"]})) == ["d"]


# --- Heads ---


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, []),
        ({"1_a": "", "2_b": "", "3_c": ""}, ["3_c"]),
        ({"1_a": "", "2_b": "1_a", "3_c": "1_a"}, ["2_b", "3_c"]),
        ({"1_a": "", "2_b": "1_a", "2_c": "1_a", "3_d": "2_b 2_c"}, ["3_d"]),
        ({"1_a": "", "2_b": "", "2_c": ""}, ["2_b", "2_c"]),
        ({"1_a": "", "2_b": "", "02_c": "", "2_d": ""}, ["2_b", "02_c", "2_d"]),
        # Without depends, the next number follows all of the last one.
        ({"1_a": "", "2_b": "", "2_c": "", "3_d": ""}, ["3_d"]),
        ({"1_a": "", "2_b": "", "2_c": "", "3_d": "2_c"}, ["2_b", "3_d"]),
        ({"1_a": "", "2_b": "", "2_c": "2_b"}, ["2_c"]),
        ({"a": "", "b": "", "c": ""}, ["c"]),
    ],
)
def test_heads_are_what_nothing_follows_yet(files: dict[str, str], found: list[str]) -> None:
    assert plan.heads([one(name, *depends.split()) for name, depends in files.items()]) == found


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"1_a": "", "2_b": "", "2_c": ""}, ["2_b", "2_c"]),
        # Two branches with numbers of their own, as `new` writes them.
        ({"1_a": "", "2_b": "1_a", "3_c": "1_a"}, ["2_b", "3_c"]),
        ({"1_a": "", "2_b": "1_a", "3_c": "2_b", "4_d": "2_b", "5_e": "4_d"}, ["3_c", "5_e"]),
        ({"1_a": "", "2_b": "1_a", "3_c": "1_a", "4_d": "1_a"}, ["2_b", "3_c", "4_d"]),
        ({"a": "", "b": "a", "c": "a"}, ["b", "c"]),
        ({"1_a": "", "2_b": "1_a", "3_c": "1_a", "4_d": "2_b 3_c"}, []),
        # A dependency that is written where it is needed only, in a project that goes by the numbers.
        ({"1_a": "", "2_b": "", "3_c": "1_a"}, []),
        ({"1_a": "", "2_b": "", "3_c": ""}, []),
    ],
)
def test_heads_of_merged_branches(files: dict[str, str], found: list[str]) -> None:
    assert plan.merged_heads([one(name, *depends.split()) for name, depends in files.items()]) == found
