"""The merge policy: checks side by side, and every reason not to merge."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from tests.coordinators.conftest import (
    BASE,
    CHECK,
    ONE,
    F,
    M,
    P,
    T,
    check,
    decision,
    pipeline,
    ref,
    review,
    verification,
)
from worktrain.contracts.pipeline import PipelineState
from worktrain.contracts.proof import CheckEnding, Verification
from worktrain.contracts.workspace import VerifyCommand
from worktrain.coordinators.merge_policy import (
    NAMED_MAX,
    Refusal,
    approved,
    judge,
    needs_approval,
    refusals,
    review_of,
    verification_of,
)
from worktrain.coordinators.merge_policy import decision as decided

Tests = tuple[tuple[str, ...], tuple[str, ...]] | None
NO_REPORT: Tests = None


# --- checks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "candidate", "passed", "mendable", "says"),
    [
        (P, P, True, True, ""),
        (F, P, True, True, ""),
        (T, P, True, True, ""),
        (M, P, True, True, ""),
        (P, F, False, True, "fails with exit code 1"),
        (F, F, False, False, "fails on the base as well"),
        (T, F, False, True, "fails with exit code 1"),
        (M, F, False, True, "fails with exit code 1"),
        (P, T, False, True, "still running"),
        (F, T, False, True, "still running"),
        (T, T, False, False, "still running"),
        (M, T, False, True, "still running"),
        (P, M, False, True, "was not found"),
        (F, M, False, True, "was not found"),
        (T, M, False, True, "was not found"),
        (M, M, False, False, "was not found"),
    ],
)
def test_every_pair_of_endings_has_its_judgement(
    base: CheckEnding, candidate: CheckEnding, passed: bool, mendable: bool, says: str
) -> None:
    judged = judge(verification(check(base, candidate)))
    assert (judged.passed, judged.mendable) == (passed, mendable)
    assert all(says in reason and "'tests'" in reason for reason in judged.reasons)
    assert len(judged.reasons) == (not passed)


def test_the_table_of_endings_is_whole() -> None:
    table = next(
        mark.args[1]
        for mark in test_every_pair_of_endings_has_its_judgement.pytestmark  # type: ignore[attr-defined]
        if mark.name == "parametrize"
    )
    assert {row[:2] for row in table} == set(product(CheckEnding, CheckEnding))


@pytest.mark.parametrize(
    ("base", "base_tests", "candidate", "tests", "says"),
    [
        # Passes: the tests that passed before must still be there and not be skipped.
        (P, (("a", "b"), ()), P, (("a", "b", "c"), ()), None),
        (P, (("a", "b"), ()), P, (("a",), ()), "gone or skipped: b"),
        (P, (("a",), ()), P, ((), ()), "gone or skipped: a"),
        (P, (("a",), ()), P, NO_REPORT, "gone or skipped: a"),
        (P, NO_REPORT, P, (("a",), ()), None),
        (F, (("a",), ("b",)), P, (("a", "b"), ()), None),
        (F, (("a",), ("b",)), P, (("b",), ()), "gone or skipped: a"),
        # Failed before and still: only the very same tests may fail.
        (F, (("a",), ("b",)), F, (("a",), ("b",)), None),
        (F, (("a",), ("b", "c")), F, (("a", "b"), ("c",)), None),
        (F, (("a",), ("b",)), F, ((), ("a", "b")), "fails in new places: a"),
        (F, (("a",), ("b",)), F, ((), ("b",)), "gone or skipped: a"),
        (F, (("a",), ("b",)), F, (("a",), ()), "nobody can tell"),
        (F, ((), ()), F, ((), ("a",)), "nobody can tell"),
        (F, (("a",), ("b",)), F, NO_REPORT, "nobody can tell"),
        # Fails newly, named as far as a report allows.
        (P, (("a",), ()), F, ((), ("a",)), "fails: a"),
        (T, NO_REPORT, F, ((), ("a",)), "fails: a"),
    ],
)
def test_tests_are_compared_one_by_one(
    base: CheckEnding, base_tests: Tests, candidate: CheckEnding, tests: Tests, says: str | None
) -> None:
    judged = judge(verification(check(base, candidate, base_tests=base_tests, tests=tests)))
    if says is None:
        assert judged.reasons == ()
    else:
        assert says in judged.reasons[0]


def test_a_failure_that_was_there_before_is_allowed_and_never_hidden() -> None:
    tests = (("a",), ("b",))
    judged = judge(verification(check(F, F, base_tests=tests, tests=tests)))
    assert judged.passed
    assert judged.notices == ("check 'tests': failed before this task and still fails: b",)


def test_nothing_run_is_passed_but_said() -> None:
    judged = judge(verification())
    assert judged.passed
    assert "nothing was run" in judged.notices[0]


def test_one_failed_check_of_several_is_enough() -> None:
    judged = judge(verification(check(), check(P, F, name="lint"), check(M, M, name="types")))
    assert len(judged.reasons) == 2
    assert not judged.mendable


def test_many_test_ids_are_named_in_part_and_in_order() -> None:
    many = tuple(f"t{n:02}" for n in range(30, 0, -1))
    (reason,) = judge(verification(check(P, F, tests=((), many)))).reasons
    assert f"t01, t02, t03, t04, t05, t06, t07, t08, t09, t10 and {30 - NAMED_MAX} more" in reason


# --- facts about exactly this tree ------------------------------------------------------------


def ready(**changes: Any) -> PipelineState:
    """A candidate that nothing speaks against."""
    facts = {
        "candidate": ONE,
        "reviews": (review("clean"),),
        "verification": verification(check()),
    }
    return pipeline(**{**facts, **changes})


def test_nothing_speaks_against_a_reviewed_and_verified_tree() -> None:
    assert refusals(ready()) == ()


def lacking() -> Iterator[tuple[str, PipelineState, set[Refusal]]]:
    other = ref("other")
    yield "no candidate", ready(candidate=None), {Refusal.NOT_REVIEWED, Refusal.NOT_VERIFIED}
    yield "no review", ready(reviews=()), {Refusal.NOT_REVIEWED}
    yield "review of another tree", ready(reviews=(review("clean", other),)), {Refusal.NOT_REVIEWED}
    yield "findings", ready(reviews=(review("minor"),)), {Refusal.FINDINGS}
    yield (
        "findings found later on the same tree",
        ready(reviews=(review("clean"), review("blocking"))),
        {Refusal.FINDINGS},
    )
    yield (
        "findings accepted for another tree",
        ready(reviews=(review("minor"),), decisions=(decision("findings", tree=other.tree),)),
        {Refusal.FINDINGS},
    )
    yield (
        "findings accepted for no tree",
        ready(reviews=(review("minor"),), decisions=(decision("findings", tree=None),)),
        {Refusal.FINDINGS},
    )
    yield (
        "findings rejected",
        ready(reviews=(review("minor"),), decisions=(decision("findings", "rejected"),)),
        {Refusal.FINDINGS},
    )
    yield "not verified", ready(verification=None), {Refusal.NOT_VERIFIED}
    yield (
        "verified another candidate",
        ready(verification=verification(check(at=other), at=other)),
        {Refusal.NOT_VERIFIED},
    )
    yield (
        "verified another commit of the same tree",
        ready(candidate=ref("again", "one")),
        {Refusal.NOT_VERIFIED},
    )
    yield (
        "verified on an older base",
        ready(base=BASE.model_copy(update={"at": other})),
        {Refusal.NOT_VERIFIED},
    )
    yield "a check is absent", ready(verification=verification()), {Refusal.NOT_VERIFIED}
    yield (
        "a check ran elsewhere",
        ready(verification=verification(check(at=other))),
        {Refusal.NOT_VERIFIED},
    )
    yield (
        "a check ran on another base",
        ready(verification=verification(check(base_at=other))),
        {Refusal.NOT_VERIFIED},
    )
    yield "checks failed", ready(verification=verification(check(P, F))), {Refusal.CHECKS_FAILED}
    yield "nobody was asked", asking(), {Refusal.NOT_APPROVED}
    yield (
        "another tree was approved",
        asking(decisions=(decision("merge", tree=other.tree),)),
        {Refusal.NOT_APPROVED},
    )
    yield (
        "another gate was approved",
        asking(decisions=(decision("findings"),)),
        {Refusal.NOT_APPROVED},
    )
    yield (
        "nothing could have failed",
        ready(
            opened=pipeline(verify=()).opened,
            verification=verification(),
        ),
        {Refusal.NOT_APPROVED},
    )


def asking(**changes: Any) -> PipelineState:
    return ready(opened=pipeline(policy="ask").opened, **changes)


LACKING = {name: (state, wanted) for name, state, wanted in lacking()}


@pytest.mark.parametrize("name", LACKING)
def test_what_is_lacking_is_refused_by_its_name(name: str) -> None:
    state, wanted = LACKING[name]
    assert set(refusals(state)) == wanted


def test_an_approval_of_this_very_tree_counts() -> None:
    assert refusals(asking(decisions=(decision("merge"),))) == ()
    accepted = ready(reviews=(review("blocking"),), decisions=(decision("findings"),))
    assert refusals(accepted) == ()


def test_an_approval_counts_for_the_tree_under_another_commit() -> None:
    again = asking(decisions=(decision("merge"),), candidate=ref("again", "one"))
    assert approved(again, "merge")


def test_the_newest_verdict_on_the_tree_counts() -> None:
    both = ready(reviews=(review("minor"), review("clean"), review("blocking", ref("other"))))
    found = review_of(both)
    assert found is not None
    assert found.verdict.verdict == "clean"


def test_checks_beyond_those_configured_do_no_harm_and_missing_ones_do() -> None:
    two: tuple[VerifyCommand, ...] = (CHECK, VerifyCommand(name="lint", run="ruff"))
    ran: Verification = verification(check(), check(name="lint"))
    assert verification_of(ready(verification=ran)) == ran
    assert verification_of(ready(opened=pipeline(verify=two).opened, verification=ran)) == ran
    assert verification_of(ready(opened=pipeline(verify=two).opened)) is None


@pytest.mark.parametrize(
    ("policy", "verify", "asks"),
    [("ask", (CHECK,), True), ("ask", (), True), ("auto", (CHECK,), False), ("auto", (), True)],
)
def test_who_is_asked(policy: Any, verify: tuple[VerifyCommand, ...], asks: bool) -> None:
    assert needs_approval(pipeline(policy=policy, verify=verify)) is asks


def test_a_decision_is_bound_to_what_was_shown() -> None:
    made = decided("merge", "approved", "ada", "Fine.", ONE.tree)
    assert made == decision("merge", reason="Fine.")
    with pytest.raises(ValueError, match="approved"):
        decided("merge", "perhaps", "ada", "", None)
