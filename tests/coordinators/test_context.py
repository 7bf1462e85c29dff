"""What a phase is told of the earlier ones."""

import json
from typing import Any

import pytest

from tests.coordinators.conftest import ONE, F, P, artifact, check, pipeline, ref, verdict
from tests.coordinators.conftest import verification as verified
from worktrain.contracts.artifact import CodingHandoff, Handoff, ReviewVerdict
from worktrain.contracts.pipeline import Phase, PipelineState
from worktrain.coordinators.context import TITLES, newest, sections

HANDOFFS: tuple[Handoff, ...] = (
    artifact("wr.discovery_handoff"),
    artifact("wr.shaping_handoff"),
    artifact("wr.coding_handoff"),
    verdict("minor"),
)


def told(phase: Phase, **changes: Any) -> list[str]:
    return [one.title for one in sections(phase, pipeline(**{"artifacts": HANDOFFS, **changes}))]


@pytest.mark.parametrize(
    ("phase", "kinds"),
    [
        (Phase.DISCOVERY, []),
        (Phase.SHAPING, ["wr.discovery_handoff"]),
        (Phase.CODING, ["wr.discovery_handoff", "wr.shaping_handoff"]),
        (Phase.REVIEW, ["wr.shaping_handoff", "wr.coding_handoff"]),
        (Phase.FIX, ["wr.shaping_handoff", "wr.coding_handoff", "wr.review_verdict"]),
    ],
)
def test_a_phase_is_told_the_handoffs_that_it_builds_on(phase: Phase, kinds: list[str]) -> None:
    found = sections(phase, pipeline(artifacts=HANDOFFS))
    assert [json.loads(one.body) for one in found] == [
        json.loads(one.model_dump_json(exclude_defaults=True))
        for kind in kinds
        for one in HANDOFFS
        if one.kind == kind
    ]
    assert [one.title for one in found] == [
        TITLES[type(one)] for one in HANDOFFS if one.kind in kinds
    ]


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.MERGE])
def test_a_phase_is_told_nothing_of_what_was_not_delivered(phase: Phase) -> None:
    assert sections(phase, pipeline()) == ()


def test_of_each_kind_the_newest_is_told() -> None:
    later = artifact("wr.coding_handoff", commitSubject="Mend it")
    both = (*HANDOFFS, later)
    assert newest(both, CodingHandoff) == later
    assert newest((), CodingHandoff) is None
    assert isinstance(newest(both, ReviewVerdict), ReviewVerdict)
    assert "Mend it" in sections(Phase.REVIEW, pipeline(artifacts=both))[-1].body


def failing(**changes: Any) -> PipelineState:
    facts: dict[str, Any] = {
        "artifacts": HANDOFFS,
        "candidate": ONE,
        "verification": verified(check(P, F), check(name="lint")),
    }
    return pipeline(**{**facts, **changes})


def test_a_fix_is_told_what_the_checks_said_of_this_very_change() -> None:
    found = sections(Phase.FIX, failing())[-1]
    assert found.title.startswith("What failed")
    assert found.body == (
        "check 'tests' fails with exit code 1\n\n$ pytest -q\nthe end of the output"
    )


def test_a_test_that_disappeared_is_told_although_the_check_passed() -> None:
    pair = check(base_tests=(("a", "b"), ()), tests=(("a",), ()))
    found = sections(Phase.FIX, failing(verification=verified(pair)))[-1]
    assert "gone or skipped: b" in found.body
    assert "pytest" not in found.body


@pytest.mark.parametrize(
    "changes",
    [
        {"candidate": ref("later")},
        {"verification": verified(check())},
        {"verification": None},
    ],
)
def test_checks_of_another_change_or_passed_ones_are_not_told(changes: dict[str, Any]) -> None:
    titles = [one.title for one in sections(Phase.FIX, failing(**changes))]
    assert titles == told(Phase.FIX)
    assert not any(title.startswith("What failed") for title in titles)


def test_only_a_fix_is_told_of_checks() -> None:
    assert len(sections(Phase.REVIEW, failing())) == 2
