"""How a pipeline comes to its end: what is said of it, what is given back, what is learnt."""

from collections.abc import Sequence

from worktrain.contracts.artifact import Retrospective
from worktrain.contracts.base import JsonObject
from worktrain.contracts.pipeline import (
    End,
    LeaveLane,
    PipelineEnding,
    PipelineResult,
    PipelineState,
    RunSession,
)
from worktrain.contracts.route import Phase
from worktrain.contracts.session import Diff
from worktrain.coordinators import candidate, facts, purse, recover
from worktrain.coordinators.artifacts import newest
from worktrain.coordinators.duties import Step, changed
from worktrain.coordinators.sessions import branch_of, session_of

LOOKS_BACK = frozenset(
    {
        PipelineEnding.MERGED,
        PipelineEnding.NO_CHANGE,
        PipelineEnding.REJECTED,
        PipelineEnding.UNANSWERED,
        PipelineEnding.ESCALATED,
        PipelineEnding.REVERT_OPENED,
    }
)
"""Endings that a light model looks back at; the others end at once, with the facts alone."""


def ended(state: PipelineState) -> Step | None:
    """What is left to do when the ending is known: give the turn back, look back, end."""
    if state.end is None:
        return None
    if state.in_lane:
        return state, LeaveLane(lane=lane_of(state))
    wanted = state.opened.config.retrospective and state.end.ending in LOOKS_BACK
    if wanted and not state.looked_back:
        request = session_of(state, Phase.RETROSPECTIVE)
        if request is not None:
            return changed(state, phase=Phase.RETROSPECTIVE), RunSession(request=request)
    return state, state.end


def run(
    state: PipelineState,
    phase: Phase,
    *,
    spec: str = "",
    label: str = "",
    branch: str | None = None,
    at: str = "",
    told: str = "",
    variables: JsonObject | None = None,
    diffs: tuple[Diff, ...] = (),
) -> Step:
    """Run the next session of a phase, if the budget pays for one."""
    request = session_of(
        state,
        phase,
        spec=spec,
        label=label,
        branch=branch,
        at=at,
        told=told,
        variables=variables,
        diffs=diffs,
    )
    if request is None:
        why = purse.exhausted(state) or "the budget pays for no further session"
        return end(state, PipelineEnding.OUT_OF_BUDGET, recover.note(state, why, ()))
    # What happened before is told to one session.
    return changed(state, phase=phase, hint=""), RunSession(request=request)


def escalate(state: PipelineState, why: str, look: Sequence[str] = ()) -> Step:
    """End with a note for the person who has to go on from here."""
    return end(state, PipelineEnding.ESCALATED, recover.note(state, why, look))


def end(state: PipelineState, ending: PipelineEnding, why: str) -> Step:
    """Settle the ending; what is owed after it comes first."""
    step = ended(changed(state, end=End(ending=ending, why=why)))
    assert step is not None
    return step


def lane_of(state: PipelineState) -> str:
    """The workflow that says whose turn it is to merge into the base branch."""
    return f"lane/{state.request.workspace}/{state.base.branch}"


def result_of(state: PipelineState, end: End, proof: str | None) -> PipelineResult:
    """The last word on the task."""
    merged = state.merged
    learnt = newest(state.artifacts, Retrospective)
    review = candidate.review_of(state)
    second = state.request.edition > 1
    return PipelineResult(
        id=state.request.pipeline,
        ending=end.ending,
        why=end.why,
        merged_commit=merged.commit if merged else None,
        tree=merged.tree if merged else None,
        cost_usd=state.cost_microdollars / 1e6,
        tokens=state.usage.total,
        phases=state.records,
        branch=_branch_left(state),
        proof=proof,
        workspace=state.request.workspace if second else "",
        repo=state.request.repo if second else "",
        route=state.route,
        decisions=state.decisions if second else (),
        told=state.told,
        matrix=candidate.matrix(state) if second else None,
        ledger=state.ledger if state.ledger.rounds else None,
        facts=facts.numbers(state) if second else {},
        lessons=learnt.lessons if learnt else (),
        root_cause=learnt.rootCause if learnt else "",
        reverted=state.reverted,
        verdict=review.verdict if review and second else None,
        passes=state.passes if second else 0,
    )


def _branch_left(state: PipelineState) -> str | None:
    """The branch that holds work which was not merged."""
    work = state.worktree is not None or state.joined
    return branch_of(state) if state.candidate and work and not state.merged else None
