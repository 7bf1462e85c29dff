"""A step that the agent says is done: what is wrong with it, or what it changes."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from worktrain.contracts.artifact import Artifact
from worktrain.contracts.base import JsonObject
from worktrain.contracts.plan import Consequence, PlanStep
from worktrain.contracts.session import Claim, SessionState
from worktrain.contracts.tool import CompleteStep, Todo
from worktrain.contracts.trace import TraceKind
from worktrain.contracts.turn import Blocker, BlockerCode, Pointer, ToolCall
from worktrain.engine import context_check, contracts_check, notes_check
from worktrain.engine.contracts_check.assess import assessed
from worktrain.engine.machine import checkpoint, walk
from worktrain.engine.machine.tracing import changed, noted

ARTIFACTS_MAX = 50
NOTES_MAX = 20
"""Of both the newest stay in the state; the transcript has all of them."""
STEERING = frozenset({"wr.loop_control", "wr.assessment"})
"""Kinds that are about the way and not about the work: used up where they are given."""

Levels = Mapping[str, Mapping[str, str]]


def examined(
    state: SessionState, call: ToolCall
) -> tuple[SessionState, Claim | None, tuple[Blocker, ...]]:
    """The claim, or everything that is wrong with it. A consequence that fires is counted."""
    step = walk.here(state)
    try:
        said = CompleteStep.model_validate(call.input or {})
    except ValidationError as error:
        return state, None, _bounded(state, _misformed(error, step))
    artifacts, blockers = contracts_check.check(
        step.contract, step.offers, said.artifacts, state.opened.plan.contracts
    )
    levels, about_levels, remarks = assessed(step.assessments, artifacts)
    notes = said.notes.strip()
    limits = state.request.limits
    after = context_check.merged(state.context, said.context)
    blockers = (
        *blockers,
        *about_levels,
        *notes_check.blockers_of(notes, step.notes_required, step.criteria, after, limits),
        *(context_check.blockers_of(said.context, after, limits) if said.context else ()),
        *context_check.missing(step.gives, after),
        *_undone(step, said.todo),
    )
    if blockers:
        return state, None, _bounded(state, blockers)
    state, refused = _consequences(state, step, levels)
    if refused:
        return state, None, _bounded(state, refused)
    for remark in remarks:
        state = noted(state, TraceKind.ASSESSED, remark)
    given: JsonObject = dict(said.context)
    if levels:
        known = state.context.get("assessments")
        # An agent may have given anything by that name.
        earlier = known if isinstance(known, Mapping) else {}
        given["assessments"] = {**earlier, **{name: dict(of) for name, of in levels.items()}}
        for name, of in levels.items():
            told = ", ".join(f"{dimension} {level}" for dimension, level in of.items())
            state = noted(state, TraceKind.ASSESSED, f"{name}: {told}")
    return state, Claim(call=call.id, notes=notes, artifacts=artifacts, given=given), ()


def accepted(state: SessionState, claim: Claim) -> SessionState:
    """The state with what the claim brings, and behind its step."""
    step = walk.here(state)
    steering = next((one for one in claim.artifacts if one.kind == "wr.loop_control"), None)
    kept = tuple(one for one in claim.artifacts if one.kind not in STEERING)
    state = checkpoint.given(state, claim.given)
    if names := [name for name in claim.given if name != "assessments"]:
        state = noted(state, TraceKind.GIVEN, ", ".join(names))
    state = noted(state, TraceKind.DONE, _said(claim, kept))
    state = changed(
        state,
        claim=None,
        blocks=0,
        artifacts=(*state.artifacts, *kept)[-ARTIFACTS_MAX:],
        delivered=state.delivered + len(kept),
        notes=(*state.notes, claim.notes)[-NOTES_MAX:],
        noted=state.noted + 1,
        steered=getattr(steering, "decision", "") if steering else "",
        steered_loop=(getattr(steering, "loopId", None) or "") if steering else "",
    )
    if steering is not None and step.contract != steering.kind and step.offers != steering.kind:
        state = noted(state, TraceKind.SIGNAL, f"a step without that contract said {state.steered}")
    return walk.leave(state)


def _said(claim: Claim, kept: Sequence[Artifact]) -> str:
    kinds = ", ".join(one.kind for one in kept)
    return " ".join(part for part in (f"delivered {kinds}." if kinds else "", claim.notes) if part)


def _consequences(
    state: SessionState, step: PlanStep, levels: Levels
) -> tuple[SessionState, tuple[Blocker, ...]]:
    """Levels that bring something about: once a follow-up, or a redo as often as allowed."""
    blockers: list[Blocker] = []
    for index, consequence in enumerate(step.consequences):
        key = str(index)
        times = state.redone.get(key, 0)
        place = _fires(consequence, levels)
        most = consequence.redos_max if consequence.recipe else 1
        if place is None:
            continue
        if times >= most:
            said = f"{place} stays {consequence.level!r} after {times} tries and is accepted"
            state = noted(state, TraceKind.ASSESSED, said)
            continue
        state = changed(state, redone={**state.redone, key: times + 1})
        fix = "\n".join(f"{n}. {one}" for n, one in enumerate(consequence.recipe, 1))
        blockers.append(
            Blocker(
                code=BlockerCode.ASSESSMENT_FOLLOWUP_REQUIRED,
                pointer=Pointer(kind="assessment_dimension", name=place),
                message=f"{place} is {consequence.level!r}: {consequence.guidance}"[:512],
                fix=(
                    f"Do the step again along these lines, then assess it anew:\n{fix}"
                    if fix
                    else "Do what the guidance says, then complete the step with a new assessment."
                )[:1024],
            )
        )
    return state, tuple(blockers)


def _fires(consequence: Consequence, levels: Levels) -> str | None:
    """The first dimension that has the level."""
    for name, dimensions in levels.items():
        if consequence.assessment not in (None, name):
            continue
        for dimension, level in dimensions.items():
            if level.strip().lower() == consequence.level.strip().lower():
                return f"{name}.{dimension}"
    return None


def _undone(step: PlanStep, reported: Sequence[Todo]) -> tuple[Blocker, ...]:
    """Items of the step's list that are neither done nor left out for a reason."""
    by_number = {one.item: one for one in reported}
    open_items = []
    for number, item in enumerate(step.todo, 1):
        report = by_number.get(number)
        if report is None:
            open_items.append(f"{number}. {item}: not reported")
        elif not report.done and not report.reason.strip():
            open_items.append(f"{number}. {item}: left out without a reason")
    if not open_items:
        return ()
    return (
        Blocker(
            code=BlockerCode.MISSING_REQUIRED_OUTPUT,
            pointer=Pointer(kind="workflow_step", name=step.id),
            message=f"todo: {len(open_items)} of {len(step.todo)} items are open",
            fix="\n".join(open_items)[:1024],
        ),
    )


def _misformed(error: ValidationError, step: PlanStep) -> tuple[Blocker, ...]:
    return tuple(
        Blocker(
            code=BlockerCode.INVALID_CALL,
            pointer=Pointer(kind="workflow_step", name=step.id),
            message=f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"[:512],
        )
        for problem in error.errors(include_url=False)
    )


def _bounded(state: SessionState, blockers: Sequence[Blocker]) -> tuple[Blocker, ...]:
    """The first of them, and how many more there are: they stand in histories."""
    most = state.request.limits.blockers_max
    left_out = len(blockers) - most
    if left_out <= 0:
        return tuple(blockers)
    last = blockers[most - 1]
    said: dict[str, Any] = {"message": f"and {left_out + 1} more things; mend these first"}
    return (*blockers[: most - 1], last.model_copy(update={**said, "fix": ""}))
