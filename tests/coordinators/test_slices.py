"""Slices: what may be coded side by side, in which order it comes together, what strayed."""

from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worktrain.contracts.artifact import AcceptanceCriterion, ShapingHandoff, SlicePlan
from worktrain.contracts.pipeline import SliceWork
from worktrain.contracts.workspace import CommitRef
from worktrain.coordinators.slices import next_to_integrate, overlap, strayed, wave

AT = CommitRef(commit="c" * 40, tree="d" * 40)


def plan(name: str, *files: str, after: Sequence[str] = ()) -> SlicePlan:
    return SlicePlan(
        id=name,
        title=f"Slice {name}",
        goal="It works.",
        files=files,
        check="python -m pytest",
        dependsOn=tuple(after),
    )


def waiting(name: str, *files: str, after: Sequence[str] = ()) -> SliceWork:
    return SliceWork(plan=plan(name, *files, after=after))


def begun(work: SliceWork) -> SliceWork:
    return work.model_copy(update={"session": f"task/w/t/coding-{work.plan.id}-1"})


def committed(work: SliceWork) -> SliceWork:
    return begun(work).model_copy(update={"committed": AT})


def integrated(work: SliceWork) -> SliceWork:
    return committed(work).model_copy(update={"integrated": AT})


def names(works: Sequence[SliceWork]) -> list[str]:
    return [work.plan.id for work in works]


# --- what begins -----------------------------------------------------------------------------


def test_slices_that_share_nothing_begin_together() -> None:
    assert names(wave([waiting("S1", "a.py"), waiting("S2", "b.py")], 3)) == ["S1", "S2"]


def test_a_slice_begins_when_all_that_it_depends_on_is_integrated() -> None:
    one, two = waiting("S1", "a.py"), waiting("S2", "b.py")
    last = waiting("S3", "c.py", after=["S1", "S2"])
    assert names(wave([one, two, last], 3)) == ["S1", "S2"]
    assert names(wave([integrated(one), committed(two), last], 3)) == []
    assert names(wave([integrated(one), integrated(two), last], 3)) == ["S3"]


def test_of_slices_that_overlap_the_first_goes_and_the_next_waits_until_it_is_integrated() -> None:
    one, two = waiting("S1", "a.py", "b.py"), waiting("S2", "b.py")
    assert names(wave([one, two], 3)) == ["S1"]
    assert names(wave([begun(one), two], 3)) == []
    assert names(wave([committed(one), two], 3)) == []
    assert names(wave([integrated(one), two], 3)) == ["S2"]


def test_a_slice_behind_one_that_has_to_wait_begins_all_the_same() -> None:
    works = [waiting("S1", "a.py"), waiting("S2", "a.py"), waiting("S3", "c.py")]
    assert names(wave(works, 3)) == ["S1", "S3"]


def test_no_more_are_at_work_than_allowed_and_a_committed_one_is_not_at_work() -> None:
    one, two, three = (waiting(f"S{n}", f"{n}.py") for n in (1, 2, 3))
    assert names(wave([one, two, three], 2)) == ["S1", "S2"]
    assert names(wave([begun(one), two, three], 2)) == ["S2"]
    assert names(wave([begun(one), begun(two), three], 2)) == []
    assert names(wave([committed(one), begun(two), three], 2)) == ["S3"]


def test_nothing_begins_where_nothing_is_left() -> None:
    assert wave([], 3) == ()
    assert wave([integrated(waiting("S1", "a.py"))], 3) == ()


# --- what is integrated ----------------------------------------------------------------------


def test_the_first_committed_slice_is_integrated_next() -> None:
    one, two = waiting("S1", "a.py"), waiting("S2", "b.py")
    assert next_to_integrate([one, two]) is None
    assert next_to_integrate([begun(one), committed(two)]) == committed(two)
    assert next_to_integrate([committed(one), committed(two)]) == committed(one)
    assert next_to_integrate([integrated(one), committed(two)]) == committed(two)
    assert next_to_integrate([integrated(one), integrated(two)]) is None


def test_a_slice_is_not_integrated_before_what_it_depends_on() -> None:
    one, two = waiting("S1", "a.py"), waiting("S2", "b.py", after=["S1"])
    assert next_to_integrate([begun(one), committed(two)]) is None
    assert next_to_integrate([integrated(one), committed(two)]) == committed(two)


# --- what overlaps ---------------------------------------------------------------------------

OVERLAPS = [
    ("a.py", "a.py"),
    ("a/*.py", "a/b.py"),
    ("a/b*.py", "a/*_test.py"),
    ("a", "a/b.py"),
    ("a/", "a/b/c.py"),
    ("a/b.py", "./a//b.py"),
    ("/a/b.py", "a/b.py"),
    ("A/b.py", "a/B.PY"),
    ("a/**", "a/b/c.py"),
    ("a/**/*.py", "a/b/c.py"),
    ("a/**/*.py", "a/b"),
    ("**", "a/b.py"),
    (".", "a/b.py"),
    ("**/*.py", "src/**"),
    ("a/?.py", "a/b.py"),
    ("a/[bc].py", "a/b.py"),
    ("a/{b,c}.py", "a/b.py"),
    ("a/*", "a/b/c.py"),
    ("a/*/c.py", "a/b"),
    # Nobody knows what these mean, so they may mean anything.
    ("../a.py", "b.py"),
    ("a\\b.py", "c.py"),
    ("!a.py", "b.py"),
    ("~/a.py", "b.py"),
    # `x.py` could be a folder.
    ("**/*.md", "x.py"),
    ("lib*", "**/test_*"),
]
APART = [
    ("a.py", "b.py"),
    ("a/b.py", "a/c.py"),
    ("a", "ab"),
    ("a/b.py", "b.py"),
    ("a/*.py", "b/*.py"),
    ("a/*.py", "a/*.md"),
    ("a/test_*.py", "a/model.py"),
    ("a/*_test.py", "a/model.py"),
    ("a/*.py", "a/b/c.py"),
    ("a/**/*.py", "b/c.py"),
    ("src/**/*.py", "src/**/*.md"),
    ("ab?.py", "ab"),
    ("a/????.py", "a/b.md"),
    ("abc*cde", "abcde"),
]


@pytest.mark.parametrize(("one", "other"), OVERLAPS)
def test_these_may_mean_the_same_file(one: str, other: str) -> None:
    assert overlap(plan("S1", "own.txt", one), plan("S2", other))
    assert overlap(plan("S2", other), plan("S1", "own.txt", one))


@pytest.mark.parametrize(("one", "other"), APART)
def test_these_mean_different_files(one: str, other: str) -> None:
    assert not overlap(plan("S1", "own.txt", one), plan("S2", other))
    assert not overlap(plan("S2", other), plan("S1", "own.txt", one))


PART = st.sampled_from(["a", "b", "ab", "a.py", "b.py", "a.md"])
PATH = st.lists(PART, min_size=1, max_size=3).map("/".join)
GLOB_PART = st.sampled_from(["a", "b", "a.py", "*", "a*", "*.py", "*.md", "?", "**", "*b*"])
GLOB = st.lists(GLOB_PART, min_size=1, max_size=3).map("/".join)


@given(PATH, GLOB, GLOB)
@settings(max_examples=200)
def test_two_slices_that_could_change_one_file_always_overlap(
    path: str, one: str, other: str
) -> None:
    first, second, probe = waiting("S1", one), waiting("S2", other), waiting("S3", "elsewhere")
    theirs = strayed(probe, [path], [first, probe]) and strayed(probe, [path], [second, probe])
    if theirs:
        assert overlap(first.plan, second.plan)


# --- what strayed ----------------------------------------------------------------------------


def test_a_file_of_another_slice_alone_has_strayed() -> None:
    one, two = waiting("S1", "a/*.py"), waiting("S2", "b", "c.md")
    changed = ["a/x.py", "b/y.py", "c.md", "README.md"]
    assert strayed(one, changed, [one, two]) == ("b/y.py", "c.md")
    assert strayed(two, changed, [one, two]) == ("a/x.py",)


def test_a_file_that_is_a_slices_own_has_not_strayed_though_it_is_anothers_too() -> None:
    one, two = waiting("S1", "a.py", "shared.py"), waiting("S2", "shared.py")
    assert strayed(one, ["a.py", "shared.py"], [one, two]) == ()


def test_a_slice_whose_path_names_the_whole_repository_owns_every_file() -> None:
    one, two = waiting("S1", "."), waiting("S2", "./b/")
    assert strayed(one, ["a.py", "b/c.py"], [one, two]) == ()
    assert strayed(two, ["a.py", "b/c.py"], [one, two]) == ("a.py",)


# --- whole plans -----------------------------------------------------------------------------

FILES = st.sampled_from(["a.py", "b.py", "c.py", "d/e.py", "d/*.py", "d", "f.md", "*.py", "g"])


@st.composite
def plans(draw: st.DrawFn) -> tuple[SlicePlan, ...]:
    made: list[SlicePlan] = []
    for number in range(1, draw(st.integers(1, 7)) + 1):
        earlier = [one.id for one in made]
        after = draw(st.lists(st.sampled_from(earlier), unique=True)) if earlier else []
        files = draw(st.lists(FILES, min_size=1, max_size=2, unique=True))
        made.append(plan(f"S{number}", *files, after=after))
    handoff = ShapingHandoff(
        selectedShape="x",
        appetite="x",
        acceptanceCriteria=(AcceptanceCriterion(id="AC1", statement="x"),),
        slices=tuple(made),
    )
    return handoff.slices


@given(plans(), st.integers(1, 4), st.data())
@settings(max_examples=200)
def test_every_plan_is_finished_in_order_without_overlapping_slices_at_work_together(
    planned: tuple[SlicePlan, ...], at_once: int, data: st.DataObject
) -> None:
    """Begin, finish and integrate in any order that is allowed, until nothing is left."""
    works = [SliceWork(plan=one) for one in planned]
    done: set[str] = set()

    def put(changed: SliceWork) -> None:
        works[names(works).index(changed.plan.id)] = changed

    for _ in range(3 * len(works)):
        begin, ready = wave(works, at_once), next_to_integrate(works)
        coding = [work for work in works if work.session and not work.committed]
        moves = ["begin"] * bool(begin) + ["commit"] * bool(coding) + ["join"] * bool(ready)
        if not moves:
            break
        move = data.draw(st.sampled_from(moves))
        if move == "begin":
            for work in begin:
                assert done.issuperset(work.plan.dependsOn)
                put(begun(work))
        elif move == "commit":
            put(committed(data.draw(st.sampled_from(coding))))
        else:
            assert ready is not None
            assert done.issuperset(ready.plan.dependsOn)
            put(integrated(ready))
            done.add(ready.plan.id)
        at_work = [work for work in works if work.session and not work.integrated]
        assert sum(work.committed is None for work in at_work) <= at_once
        assert not any(overlap(a.plan, b.plan) for a, b in combinations(at_work, 2))
    assert done == {one.id for one in planned}
