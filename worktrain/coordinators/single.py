"""The coordinator of a session that runs by itself: any spec or routine, no phases around it."""

from worktrain.contracts.artifact import CodingHandoff
from worktrain.contracts.delivery import Committed, NothingChanged
from worktrain.contracts.pipeline import (
    Begun,
    End,
    PipelineCommand,
    PipelineEnding,
    PipelineEvent,
    PipelineKilled,
    PipelineState,
    RunSession,
    SessionEnded,
    StepFailed,
)
from worktrain.contracts.route import Phase
from worktrain.contracts.session import SessionEnding, SessionRequest, SessionResult
from worktrain.coordinators.artifacts import newest
from worktrain.coordinators.sessions import branch_of, commit_of

ENDINGS = {
    SessionEnding.COMPLETED: PipelineEnding.COMPLETED,
    SessionEnding.KILLED: PipelineEnding.KILLED,
}
"""Every other ending of the session is a failure."""


def route(state: PipelineState, event: PipelineEvent) -> tuple[PipelineState, PipelineCommand]:
    """Fold one event into the state and name the one thing to do next."""
    match event:
        case Begun():
            return state, RunSession(request=_request(state), seed=state.request.seed)
        case SessionEnded(result=result):
            return _after_session(state, result)
        case Committed(at=at):
            state = state.model_copy(update={"candidate": at})
            why = f"the session is done; its work is on branch {branch_of(state)}"
            return state, End(ending=PipelineEnding.COMPLETED, why=why)
        case NothingChanged():
            return state, End(ending=PipelineEnding.COMPLETED, why="the session is done")
        case StepFailed(failure=failure):
            return state, End(ending=PipelineEnding.FAILED, why=failure.said)
        case PipelineKilled(why=why):
            return state, End(ending=PipelineEnding.KILLED, why=why)
        case _:
            why = f"a session by itself has no use for {event.kind!r}"
            return state, End(ending=PipelineEnding.FAILED, why=why)


def _request(state: PipelineState) -> SessionRequest:
    request, config = state.request, state.opened.config
    seed = request.seed
    return SessionRequest(
        session=f"{request.pipeline}/{Phase.SESSION}-1",
        pipeline=request.pipeline,
        phase=Phase.SESSION,
        spec=request.spec,
        repo=request.repo,
        base=state.base.at.commit,
        at=state.base.at.commit,
        # A branch of its own, so that what it writes is kept if it delivers a change.
        branch=branch_of(state),
        task=request.task,
        sections=seed.state.request.sections if seed else (),
        limits=config.limits,
        models=config.models,
        model=request.model,
        sandbox=config.sandbox,
        soul=config.soul,
        context=request.context,
        pinned=seed.state.opened if seed else None,
        gates=config.gates,
    )


def _after_session(
    state: PipelineState, result: SessionResult
) -> tuple[PipelineState, PipelineCommand]:
    state = state.model_copy(
        update={
            "records": (*state.records, result.record),
            "artifacts": (*state.artifacts, *result.artifacts),
            "usage": state.usage + result.record.usage,
            "cost_microdollars": state.cost_microdollars + result.record.cost_microdollars,
            "worktree": result.worktree,
        }
    )
    ending = ENDINGS.get(result.ending, PipelineEnding.FAILED)
    handoff = newest(result.artifacts, CodingHandoff)
    if ending is PipelineEnding.COMPLETED and handoff and result.worktree:
        return state, commit_of(state, result.worktree, handoff, result.record.session)
    return state, End(ending=ending, why=result.why)
