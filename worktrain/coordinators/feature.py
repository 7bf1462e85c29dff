"""The coordinator of every delivery: feature, implement, quick, bugfix, and review.

A pipeline owes an ordered list of duties. After every event the first one that is not done says
what comes next, so that what changed meanwhile (another tree, another base, a person's word) is
seen wherever it matters, and nothing is passed because it once was in order.
"""

from collections.abc import Mapping

from worktrain.contracts.pipeline import (
    LeaveLane,
    OpenGate,
    PipelineCommand,
    PipelineEvent,
    PipelineState,
    Told,
)
from worktrain.contracts.route import PipelineKind
from worktrain.coordinators import purse
from worktrain.coordinators.duties import Duty, Step, changed
from worktrain.coordinators.duties.coding import coded, committed
from worktrain.coordinators.duties.ending import ended, lane_of
from worktrain.coordinators.duties.judging import (
    audited,
    covered,
    examined,
    finished,
    in_scope,
    lawful,
    reviewed,
    seconded,
    settled,
    verified,
    verified_as_it_is,
)
from worktrain.coordinators.duties.merging import (
    agreed,
    done,
    fresh,
    in_turn,
    merged,
    proven,
    sealed,
    watched,
)
from worktrain.coordinators.duties.reviewing import given, mended, posted, told
from worktrain.coordinators.duties.thinking import (
    classified,
    confident,
    thought,
    understood,
    undisturbed,
)
from worktrain.coordinators.folding import folded

ALWAYS: tuple[Duty, ...] = (ended, committed)
THINKING: tuple[Duty, ...] = (classified, understood, thought, confident, undisturbed)
JUDGING: tuple[Duty, ...] = (
    *(coded, examined, lawful, finished, verified),
    *(reviewed, settled, seconded, covered, in_scope, audited),
)
MERGING: tuple[Duty, ...] = (agreed, in_turn, fresh, sealed, merged)
AFTERWARDS: tuple[Duty, ...] = (ended, proven, undisturbed, watched, done)

DELIVERY: tuple[Duty, ...] = (*ALWAYS, *THINKING, *JUDGING, *MERGING)
REVIEW: tuple[Duty, ...] = (
    *ALWAYS,
    *(given, examined, verified_as_it_is, reviewed, mended, posted, told),
)
DUTIES: Mapping[PipelineKind, tuple[Duty, ...]] = {
    PipelineKind.AUTO: DELIVERY,
    PipelineKind.FEATURE: DELIVERY,
    PipelineKind.IMPLEMENT: DELIVERY,
    PipelineKind.QUICK: DELIVERY,
    PipelineKind.BUGFIX: DELIVERY,
    PipelineKind.REVIEW: REVIEW,
}


def route(state: PipelineState, event: PipelineEvent) -> tuple[PipelineState, PipelineCommand]:
    """Fold one event into the state and name the one thing to do next."""
    found = folded(state, event)
    state, command = found if isinstance(found, tuple) else _owed(found)
    if isinstance(command, OpenGate) and state.in_lane:
        # Nobody else waits while a person thinks; the question comes when the turn is given back.
        return state, LeaveLane(lane=lane_of(state))
    return _warned(state), command


def _owed(state: PipelineState) -> Step:
    """The first duty that is not done."""
    for duty in _duties(state):
        step = duty(state)
        if step is not None:
            return step
    raise AssertionError("the last duty of every list ends the pipeline")


def _duties(state: PipelineState) -> tuple[Duty, ...]:
    if state.merged is not None:
        return AFTERWARDS
    return DUTIES[state.route.pipeline if state.route else state.request.kind]


def _warned(state: PipelineState) -> PipelineState:
    """Each warning of the budget is told once."""
    known = {one.said for one in state.told}
    fresh_ones = tuple(
        Told(at=state.phase, said=said) for said in purse.warnings(state) if said not in known
    )
    return changed(state, told=(*state.told, *fresh_ones))
