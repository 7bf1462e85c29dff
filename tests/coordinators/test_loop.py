"""The review loop: every case has a move, and every row of the table a case."""

from itertools import product
from typing import Any, get_args

import pytest

from worktrain.contracts.artifact import Finding, Severity
from worktrain.coordinators.loop import (
    ARCHITECTURE,
    AUDIT_OF,
    PRODUCTION,
    TABLE,
    Case,
    MoveKind,
    after_verdict,
    row_of,
)

CATEGORIES: tuple[tuple[str, ...], ...] = (
    (),
    ("unknown",),
    ("correctness",),
    ("security",),
    ("architecture",),
    ("architecture", "correctness"),
    ("style",),
)
AUDITS = ((), (PRODUCTION,), (ARCHITECTURE,), (PRODUCTION, ARCHITECTURE))
BOTH = (False, True)
EVERY = [
    Case(*fields)
    for fields in product(
        (None, *Severity),
        CATEGORIES,
        range(5),
        (0, 1, 3),
        BOTH,
        BOTH,
        BOTH,
        AUDITS,
        BOTH,
        ((), ("F1 came back.",)),
    )
]
MOVES = [(case, after_verdict(case)) for case in EVERY]


def case(gravest: Severity | None = Severity.CRITICAL, **changes: Any) -> Case:
    """A change with something open, before any fix."""
    fields: dict[str, Any] = {
        "categories": ("correctness",),
        "passes": 0,
        "passes_max": 3,
        "fixed_before": False,
        "escalated": False,
        "second_review": False,
        "audits_done": (),
        "progressed": True,
        "flapping": (),
    }
    return Case(gravest=gravest, **{**fields, **changes})


FIXED: dict[str, Any] = {"passes": 1, "fixed_before": True}
AGAIN: dict[str, Any] = {**FIXED, "escalated": True, "second_review": True}


# --- all of them ------------------------------------------------------------------------------


def test_every_case_has_a_move_with_a_reason() -> None:
    assert all(len(move.why) > 20 for _, move in MOVES)
    assert {move.kind for _, move in MOVES} == set(MoveKind)


def test_every_row_decides_some_case() -> None:
    names = [row.name for row in TABLE]
    assert len(set(names)) == len(names)
    assert {row_of(case).name for case in EVERY} == set(names)


def test_no_pass_begins_when_none_is_left() -> None:
    assert all(c.passes < c.passes_max for c, move in MOVES if move.kind is MoveKind.FIX)


def test_exactly_what_has_nothing_open_passes() -> None:
    for c, move in MOVES:
        assert (move.kind is MoveKind.PASS) is (c.gravest is None)


def test_what_goes_round_in_circles_is_never_worked_on() -> None:
    working = (MoveKind.FIX, MoveKind.AUDIT, MoveKind.SECOND_REVIEW)
    assert not [c for c, move in MOVES if c.flapping and move.kind in working]


def test_escalation_stays_and_every_second_look_is_one() -> None:
    for c, move in MOVES:
        survived = c.gravest is Severity.CRITICAL and c.fixed_before
        assert move.escalated is (c.escalated or survived)
        if move.kind in (MoveKind.SECOND_REVIEW, MoveKind.AUDIT):
            assert survived


def test_a_second_look_happens_once_and_names_its_audits() -> None:
    for c, move in MOVES:
        if move.kind is MoveKind.SECOND_REVIEW:
            assert not c.second_review
        assert bool(move.audits) is (move.kind is MoveKind.AUDIT)
        assert not set(move.audits) & set(c.audits_done)


def test_a_fix_after_a_fix_needs_progress() -> None:
    fixed = [c for c, move in MOVES if move.kind is MoveKind.FIX and c.fixed_before]
    assert all(c.progressed for c in fixed)


# --- one by one -------------------------------------------------------------------------------


@pytest.mark.parametrize("severity", list(Severity))
def test_whatever_is_found_first_is_fixed(severity: Severity) -> None:
    move = after_verdict(case(severity))
    assert (move.kind, move.escalated) == (MoveKind.FIX, False)
    assert "1 of 3" in move.why


@pytest.mark.parametrize("severity", list(Severity))
def test_without_passes_a_person_is_asked_at_once(severity: Severity) -> None:
    assert after_verdict(case(severity, passes_max=0)).kind is MoveKind.ASK


@pytest.mark.parametrize("severity", [s for s in Severity if s is not Severity.CRITICAL])
def test_less_than_critical_is_fixed_on_until_passes_or_progress_end(severity: Severity) -> None:
    assert after_verdict(case(severity, **FIXED)).kind is MoveKind.FIX
    asked = after_verdict(case(severity, **FIXED, progressed=False))
    assert (asked.kind, asked.escalated) == (MoveKind.ASK, False)
    used_up = after_verdict(case(severity, passes=3, fixed_before=True))
    assert (used_up.kind, "3 fix passes" in used_up.why) == (MoveKind.ASK, True)


def test_a_critical_finding_that_survives_its_fix_goes_the_whole_way() -> None:
    steps: list[tuple[dict[str, Any], MoveKind]] = [
        ({}, MoveKind.FIX),
        ({**FIXED, "progressed": False}, MoveKind.SECOND_REVIEW),
        (AGAIN, MoveKind.AUDIT),
        ({**AGAIN, "audits_done": (PRODUCTION,)}, MoveKind.FIX),
        ({**AGAIN, "audits_done": (PRODUCTION,), "passes": 2}, MoveKind.FIX),
        ({**AGAIN, "audits_done": (PRODUCTION,), "progressed": False}, MoveKind.ASK),
        ({**AGAIN, "audits_done": (PRODUCTION,), "passes": 3}, MoveKind.ASK),
    ]
    assert [after_verdict(case(**fields)).kind for fields, _ in steps] == [k for _, k in steps]


@pytest.mark.parametrize(("severity", "kind"), [(None, "pass"), (Severity.MINOR, "fix")])
def test_a_false_alarm_that_the_second_reviewer_clears_needs_no_audit(
    severity: Severity | None, kind: str
) -> None:
    move = after_verdict(case(severity, categories=(), **AGAIN))
    assert (move.kind, move.escalated) == (kind, True)


def test_a_second_reviewer_may_clear_it_after_the_last_pass() -> None:
    last = case(passes=3, fixed_before=True, progressed=False)
    assert after_verdict(last).kind is MoveKind.SECOND_REVIEW


def test_every_category_of_the_contract_has_its_audit_or_none() -> None:
    literal = next(
        part for part in get_args(Finding.model_fields["findingCategory"].annotation) if part
    )
    assert set(AUDIT_OF) == set(get_args(literal))


@pytest.mark.parametrize(
    ("categories", "done", "audits"),
    [
        (("correctness",), (), (PRODUCTION,)),
        (("security",), (), (PRODUCTION,)),
        (("unknown",), (), (PRODUCTION,)),
        ((), (), (PRODUCTION,)),
        (("architecture",), (), (ARCHITECTURE,)),
        (("architecture", "security"), (), (PRODUCTION, ARCHITECTURE)),
        (("style", "architecture", "unheard-of"), (), (PRODUCTION, ARCHITECTURE)),
        (("architecture", "security"), (PRODUCTION,), (ARCHITECTURE,)),
        (("architecture",), (ARCHITECTURE,), ()),
        (("style", "ux", "performance", "testing"), (), ()),
    ],
)
def test_the_kind_of_a_finding_says_which_audits_are_due(
    categories: tuple[str, ...], done: tuple[str, ...], audits: tuple[str, ...]
) -> None:
    move = after_verdict(case(categories=categories, audits_done=done, **AGAIN))
    assert move.audits == audits
    assert move.kind is (MoveKind.AUDIT if audits else MoveKind.FIX)
    assert all(spec in move.why for spec in audits)


def test_a_circle_is_told_in_its_own_words() -> None:
    move = after_verdict(case(Severity.MINOR, flapping=("F2 came back.",)))
    assert (move.kind, "F2 came back." in move.why) == (MoveKind.ASK, True)
