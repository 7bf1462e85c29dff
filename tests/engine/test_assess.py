"""Assessments: levels in the spelling of the spec, and everything that is wrong with them."""

from typing import Any

import pytest

from worktrain.contracts.artifact import Artifact, AssessmentReport
from worktrain.contracts.plan import Assessment, Dimension
from worktrain.contracts.turn import BlockerCode
from worktrain.engine.contracts_check.assess import assessed


def assessment(name: str, *dimensions: Dimension) -> Assessment:
    return Assessment(id=name, dimensions=dimensions)


RISK = Dimension(id="risk", levels=("Low", "High"))
SCOPE = Dimension(id="scope", levels=("Clear", "Very Unclear"), required=False)
READY = assessment("readiness", RISK, SCOPE)
QUALITY = assessment("quality", Dimension(id="tests", levels=("good", "bad")))


def report(name: str | None = None, **dimensions: Any) -> Artifact:
    return AssessmentReport.model_validate({"assessmentId": name, "dimensions": dimensions})


def test_a_level_is_taken_in_the_spelling_of_the_spec_and_that_is_noted() -> None:
    given = report(risk=" hIGH", scope={"level": "very unclear", "rationale": "Two readings."})
    levels, blockers, notes = assessed([READY], [given])
    assert levels == {"readiness": {"risk": "High", "scope": "Very Unclear"}}
    assert blockers == ()
    assert notes == (
        "readiness.risk: 'hIGH' was taken for 'High'",
        "readiness.scope: 'very unclear' was taken for 'Very Unclear'",
    )


def test_a_level_that_is_spelled_as_in_the_spec_needs_no_note() -> None:
    assert assessed([READY], [report("readiness", risk="Low")]) == (
        {"readiness": {"risk": "Low"}},
        (),
        (),
    )


def test_of_levels_that_differ_only_in_case_the_exact_one_is_taken() -> None:
    odd = assessment("odd", Dimension(id="size", levels=("s", "S")))
    assert assessed([odd], [report(size="S")])[0] == {"odd": {"size": "S"}}


def test_a_single_assessment_takes_the_first_report_whatever_its_id() -> None:
    given = [report("something-else", risk="Low"), report("readiness", risk="High")]
    levels, blockers, notes = assessed([READY], given)
    assert (levels, blockers) == ({"readiness": {"risk": "Low"}}, ())
    assert notes == (
        "assessment 'something-else' was taken for 'readiness'",
        "a second assessment of 'readiness' was left aside",
    )


def test_of_several_assessments_each_is_named() -> None:
    given = [report("quality", tests="good"), report("Readiness", risk="Low")]
    levels, blockers, notes = assessed([READY, QUALITY], given)
    assert levels == {"readiness": {"risk": "Low"}, "quality": {"tests": "good"}}
    assert blockers == ()
    assert notes == ("assessment 'Readiness' was taken for 'readiness'",)


def test_of_several_assessments_one_without_its_name_or_with_an_unknown_one_is_refused() -> None:
    levels, blockers, _ = assessed([READY, QUALITY], [report(risk="Low"), report("qualty")])
    assert levels == {}
    assert [(one.message, one.fix) for one in blockers[:2]] == [
        (
            "assessmentId: is missing; the step has more than one assessment",
            "Write one of 'readiness', 'quality'.",
        ),
        ("assessmentId: 'qualty' is no assessment of this step", "Did you mean 'quality'?"),
    ]
    assert len(blockers) == 4


def test_an_assessment_that_is_missing_is_told_with_what_to_fill_in() -> None:
    levels, (found,), _ = assessed([READY], [])
    assert levels == {}
    assert found.code is BlockerCode.INVALID_REQUIRED_OUTPUT
    assert (found.pointer.kind, found.pointer.name) == ("output_contract", "wr.assessment")
    assert "'readiness' is missing" in found.message
    assert '"risk": "Low | High"' in found.fix


@pytest.mark.parametrize(
    ("dimensions", "pointer", "said", "fix"),
    [
        (
            {"risk": "Medium"},
            "risk",
            'dimensions.risk: "Medium" is none of its levels',
            "Its levels are 'Low', 'High'.",
        ),
        (
            {"risk": "Hig"},
            "risk",
            'dimensions.risk: "Hig" is none of its levels',
            "Did you mean 'High'? Its levels are 'Low', 'High'.",
        ),
        (
            {"risk": "Low", "scop": "Clear"},
            "scop",
            "dimensions.scop: 'readiness' has no such dimension",
            "Did you mean 'scope'?",
        ),
        (
            {"scope": "Clear"},
            "risk",
            "dimensions.risk: is missing in the assessment 'readiness'",
            "Give it one of the levels 'Low', 'High'.",
        ),
    ],
)
def test_what_is_wrong_with_a_dimension_points_at_it(
    dimensions: dict[str, str], pointer: str, said: str, fix: str
) -> None:
    _, (found,), _ = assessed([READY], [report(**dimensions)])
    assert found.code is BlockerCode.INVALID_REQUIRED_OUTPUT
    assert (found.pointer.kind, found.pointer.name) == ("assessment_dimension", pointer)
    assert (found.message, found.fix) == (said, fix)


def test_a_step_without_assessments_asks_for_none_and_minds_none() -> None:
    assert assessed([], [report("any", risk="Low")]) == ({}, (), ())
