"""Which levels did an agent give in the assessments of its step, and what is wrong with them?"""

from collections.abc import Mapping, Sequence
from typing import Any

from worktrain.contracts.artifact import Artifact, AssessmentReport, RatedLevel
from worktrain.contracts.plan import Assessment, Dimension
from worktrain.contracts.turn import Blocker, BlockerCode, Pointer
from worktrain.engine.blocker import blocker, closest, in_json, invalid

Levels = dict[str, dict[str, str]]


def assessed(
    assessments: Sequence[Assessment], artifacts: Sequence[Artifact]
) -> tuple[Levels, tuple[Blocker, ...], tuple[str, ...]]:
    """The levels given, by assessment and dimension, in the spelling of the spec.

    Also what is wrong or missing, and a note for everything that was taken for something else.
    A step with one assessment takes the first `wr.assessment`, whatever its id; with several,
    each says by `assessmentId` which one it is.
    """
    given = [one for one in artifacts if isinstance(one, AssessmentReport)]
    levels: Levels = {}
    blockers: list[Blocker] = []
    notes: list[str] = []
    chosen: dict[str, AssessmentReport] = {}
    ids = tuple(assessment.id for assessment in assessments)
    for report in given if assessments else ():
        name = ids[0] if len(ids) == 1 else _assessment_meant(report, ids)
        if name is None:
            blockers.append(_no_assessment(report, ids))
        elif name in chosen:
            notes.append(f"a second assessment of {name!r} was left aside")
        else:
            chosen[name] = report
            if report.assessmentId not in (None, name):
                notes.append(f"assessment {report.assessmentId!r} was taken for {name!r}")
    for assessment in assessments:
        if assessment.id in chosen:
            levels[assessment.id], wrong = _levels(assessment, chosen[assessment.id], notes)
            blockers += wrong
        else:
            # WorkRail's code is the same for an assessment that is missing and one that is wrong.
            said = (
                f"artifacts: an artifact of kind 'wr.assessment' for {assessment.id!r} is missing"
            )
            blockers.append(invalid("wr.assessment", said, _scaffold(assessment)))
    return levels, tuple(blockers), tuple(notes)


def _assessment_meant(report: AssessmentReport, ids: Sequence[str]) -> str | None:
    return next((one for one in ids if _key(one) == _key(report.assessmentId or "")), None)


def _no_assessment(report: AssessmentReport, ids: Sequence[str]) -> Blocker:
    if report.assessmentId is None:
        said = "is missing; the step has more than one assessment"
        return invalid("wr.assessment", f"assessmentId: {said}", f"Write one of {_list(ids)}.")
    said = f"assessmentId: {report.assessmentId!r} is no assessment of this step"
    near = closest(report.assessmentId, ids)
    fix = f"Did you mean {near!r}?" if near else f"Write one of {_list(ids)}."
    return invalid("wr.assessment", said, fix)


def _levels(
    assessment: Assessment, report: AssessmentReport, notes: list[str]
) -> tuple[dict[str, str], list[Blocker]]:
    """The levels in the spelling of the spec, and what is wrong; adds to the notes."""
    known = {dimension.id: dimension for dimension in assessment.dimensions}
    levels: dict[str, str] = {}
    wrong: list[Blocker] = []
    for name, given in report.dimensions.items():
        if name not in known:
            near = closest(name, tuple(known))
            fix = f"Did you mean {near!r}?" if near else f"It has {_list(known)}."
            said = f"dimensions.{name}: {assessment.id!r} has no such dimension"
            wrong.append(_wrong_dimension(name, said, fix))
            continue
        said_level = given.level if isinstance(given, RatedLevel) else given
        level = _level(known[name], said_level)
        if level is None:
            near = closest(said_level, known[name].levels)
            fix = f"Did you mean {near!r}? " if near else ""
            fix += f"Its levels are {_list(known[name].levels)}."
            said = f"dimensions.{name}: {in_json(said_level, 80)} is none of its levels"
            wrong.append(_wrong_dimension(name, said, fix))
            continue
        levels[name] = level
        if level != said_level:
            notes.append(f"{assessment.id}.{name}: {said_level!r} was taken for {level!r}")
    for dimension in assessment.dimensions:
        if dimension.required and dimension.id not in report.dimensions:
            said = f"dimensions.{dimension.id}: is missing in the assessment {assessment.id!r}"
            fix = f"Give it one of the levels {_list(dimension.levels)}."
            wrong.append(_wrong_dimension(dimension.id, said, fix))
    return levels, wrong


def _level(dimension: Dimension, given: str) -> str | None:
    """The level in the spelling of the spec; the exact one first, should two differ by case."""
    if given in dimension.levels:
        return given
    return next((level for level in dimension.levels if _key(level) == _key(given)), None)


def _key(text: str) -> str:
    return text.strip().casefold()


def _wrong_dimension(name: str, said: str, fix: str) -> Blocker:
    pointer = Pointer(kind="assessment_dimension", name=name)
    return blocker(BlockerCode.INVALID_REQUIRED_OUTPUT, pointer, said, fix)


def _scaffold(assessment: Assessment) -> str:
    """The assessment that is to be filled in."""
    dimensions = {one.id: " | ".join(one.levels) for one in assessment.dimensions}
    filled = {"kind": "wr.assessment", "assessmentId": assessment.id, "dimensions": dimensions}
    return f"Deliver {in_json(filled, 900)} with one level for each dimension."


def _list(names: Sequence[str] | Mapping[str, Any]) -> str:
    return ", ".join(repr(name) for name in names)
