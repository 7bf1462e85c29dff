"""Base against candidate, test by test: what became of each, and what is said of it."""

from itertools import product

import pytest

from worktrain.contracts.proof import CheckComparison, CheckEnding, CheckRun, Verification
from worktrain.contracts.workspace import CommitRef
from worktrain.coordinators.compare import NAMED_MAX, UNNAMED, Compared, compared, judge

P, F, T, M = CheckEnding.PASSED, CheckEnding.FAILED, CheckEnding.TIMED_OUT, CheckEnding.MISSING
EXIT = {P: 0, F: 1, T: None, M: 127}
AT = CommitRef(commit="c" * 40, tree="e" * 40)
Ids = tuple[str, ...]


def ran(
    ending: CheckEnding = P,
    passed: Ids | None = None,
    failed: Ids = (),
    skipped: Ids = (),
    **more: Ids,
) -> CheckRun:
    """One run; without `passed` it has no report."""
    none = passed is None
    return CheckRun(
        name="tests",
        command="pytest -q",
        at=AT,
        ending=ending,
        exit_code=EXIT[ending],
        seconds=1.5,
        passed=passed,
        failed=None if none else failed,
        skipped=None if none else skipped,
        **more,
    )


def pair(base: CheckRun, candidate: CheckRun) -> CheckComparison:
    return CheckComparison(name="tests", base=base, candidate=candidate)


def verified(*pairs: CheckComparison) -> Verification:
    return Verification(base=AT, candidate=AT, checks=pairs)


def unnamed(count: int) -> Ids:
    return tuple(f"{UNNAMED} that passed {n})" for n in range(count))


def reasons(base: CheckRun, candidate: CheckRun) -> tuple[str, ...]:
    return judge(verified(pair(base, candidate))).reasons


def test_every_test_goes_where_it_belongs() -> None:
    base = ran(F, ("stays", "breaks", "goes", "sleeps"), ("mended", "still", "gone-red"), ("woke",))
    candidate = ran(
        F,
        ("stays", "mended", "woke", "new", "lucky"),
        ("breaks", "still", "new-red", "died"),
        ("sleeps",),
        errors=("died",),
        flaky=("lucky",),
    )
    assert compared(pair(base, candidate)) == Compared(
        newly_failing=("breaks", "died", "new-red"),
        newly_passing=("mended", "woke"),
        vanished=("goes", "gone-red"),
        newly_skipped=("sleeps",),
        errors=("died",),
        flaky=("lucky",),
    )


def test_without_reports_nothing_is_different() -> None:
    assert compared(pair(ran(P), ran(F))) == Compared()


def test_tests_without_a_name_are_in_no_difference() -> None:
    assert compared(pair(ran(P, unnamed(3)), ran(P, unnamed(1)))) == Compared()


@pytest.mark.parametrize(("base", "candidate"), list(product(CheckEnding, CheckEnding)))
def test_every_pair_of_endings_is_judged(base: CheckEnding, candidate: CheckEnding) -> None:
    judged = judge(verified(pair(ran(base), ran(candidate))))
    assert judged.passed == (candidate is P)
    assert judged.mendable == (candidate is P or base is not candidate)


@pytest.mark.parametrize(
    ("base", "candidate", "says"),
    [
        (ran(P, ("a", "b")), ran(P, ("a", "b", "c")), ()),
        (ran(P, ("a", "b")), ran(P, ("a", "c")), ("gone or skipped: b",)),
        (ran(P, ("a", "b")), ran(P, ("a",), (), ("b",)), ("gone or skipped: b (skipped)",)),
        (ran(P, ("a",)), ran(P), ("gone or skipped: a", "reports no test at all")),
        (ran(P, ("a",)), ran(P, ()), ("gone or skipped: a", "the base has 1")),
        (ran(P, unnamed(4)), ran(P), ("reports no test at all, where the base has 4",)),
        (ran(P, unnamed(4)), ran(P, unnamed(3)), ("reports 3 tests where the base has 4",)),
        (ran(P, unnamed(4)), ran(P, unnamed(4)), ()),
        (ran(P, unnamed(4)), ran(P, ("a", "b", "c", "d", "e")), ()),
        (ran(P, ("a",), (), ("s",)), ran(P, ("a",)), ("reports 1 tests where the base has 2",)),
        (ran(P, ("a",)), ran(P, ("a",), ("b",)), ("exit code 0 although its report names",)),
        (ran(P, ("a",)), ran(F, ("a",)), ("fails with exit code 1",)),
        (ran(P, ("a",)), ran(F, (), ("a",), errors=("a",)), ("fails: a (error)",)),
        (ran(P, ("a", "b")), ran(F, (), ("a",)), ("fails: a", "gone or skipped: b")),
        (ran(P, ("a", "b")), ran(F), ("fails with exit code 1",)),
        (ran(F, ("a",), ("b",)), ran(F, ("a",), ("b",)), ()),
        (ran(F, ("a",), ("b",)), ran(F, (), ("a", "b")), ("in new places: a",)),
        (ran(F, ("a",), ("b",)), ran(F, (), ("b",)), ("gone or skipped: a",)),
        (ran(F, ("a",), ("b", "c")), ran(F, ("a",), ("b",)), ("reports 2 tests where",)),
        (ran(F, ("a",), ("b",)), ran(F, ("a",), unnamed(1)), ("nobody can tell",)),
        (ran(F, (), unnamed(1)), ran(F, (), ("a",)), ("nobody can tell",)),
        (ran(T), ran(F, (), ("a",)), ("fails: a",)),
    ],
)
def test_what_is_lost_or_broken_is_a_reason(
    base: CheckRun, candidate: CheckRun, says: tuple[str, ...]
) -> None:
    found = reasons(base, candidate)
    assert len(found) == len(says)
    assert all(words in reason for words, reason in zip(says, found, strict=True))


def test_a_suite_that_was_red_behind_a_green_exit_code_before_is_not_mendable_here() -> None:
    hidden = ran(P, ("a",), ("b",))
    assert not judge(verified(pair(hidden, hidden))).mendable
    assert judge(verified(pair(hidden, ran(P, (), ("a", "b"))))).mendable
    assert judge(verified(pair(ran(P, ("a", "b")), hidden))).mendable


def test_what_was_flaky_or_red_before_is_named_and_allowed() -> None:
    flaky = judge(verified(pair(ran(P, ("a",)), ran(P, ("a",), flaky=("a",)))))
    assert flaky.passed
    (notice,) = flaky.notices
    assert "known to be flaky" in notice
    assert notice.endswith(": a")
    red = judge(verified(pair(ran(F, ("a",), ("b",)), ran(F, ("a",), ("b",)))))
    assert red.notices == ("check 'tests': failed before this task and still fails: b",)


def test_a_red_test_that_is_taken_away_is_never_hidden() -> None:
    judged = judge(verified(pair(ran(F, ("a",), ("b",)), ran(P, ("a", "c")))))
    assert judged.notices == ("check 'tests': failed on the base and are not there any more: b",)


def test_nothing_run_is_passed_but_said() -> None:
    judged = judge(verified())
    assert judged.passed
    assert "nothing was run" in judged.notices[0]


def test_many_test_ids_are_named_in_part_and_in_order() -> None:
    many = tuple(f"t{n:02}" for n in range(30, 0, -1))
    (reason,) = reasons(ran(P, ()), ran(F, (), many))
    assert f"t01, t02, t03, t04, t05, t06, t07, t08, t09, t10 and {30 - NAMED_MAX} more" in reason
