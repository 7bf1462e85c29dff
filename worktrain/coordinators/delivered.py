"""What becomes of a session's ending: its artifact is taken, or the table of failures decides."""

from worktrain.contracts.artifact import (
    AuditReport,
    Classification,
    CodingHandoff,
    Retrospective,
    ReviewVerdict,
)
from worktrain.contracts.pipeline import End, PipelineEnding, PipelineState
from worktrain.contracts.proof import Audit, PhaseRecord, Review
from worktrain.contracts.route import Phase
from worktrain.contracts.session import SessionEnding, SessionResult
from worktrain.contracts.turn import Usage
from worktrain.coordinators import classify, ledger, recover, routing, slices
from worktrain.coordinators.artifacts import newest
from worktrain.coordinators.building import next_slice_commit
from worktrain.coordinators.duties import Folded, changed
from worktrain.coordinators.duties.coding import conflict_gate
from worktrain.coordinators.duties.ending import end, escalate
from worktrain.coordinators.duties.judging import blind
from worktrain.coordinators.sessions import DELIVERS, WRITES, branch_of, commit_of, label_of


def after_session(state: PipelineState, result: SessionResult) -> Folded:
    """Take what the phase delivers and nothing else, or go by the table of failures."""
    phase = Phase(result.record.phase)
    looks = _looks(state, result)
    state = _recorded(state, result)
    kind = DELIVERS[phase]
    found = newest(result.artifacts, kind)
    if result.ending is not SessionEnding.COMPLETED or found is None:
        return _without_success(state, phase, result)
    state = changed(state, artifacts=(*state.artifacts, found))
    match found:
        case Classification():
            return routed(state, found)
        case ReviewVerdict():
            return _reviewed(state, result, found, looks)
        case AuditReport():
            assert state.candidate is not None
            audit = Audit(session=result.record.session, at=state.candidate, report=found)
            return changed(state, audits=(*state.audits, audit))
        case CodingHandoff():
            return _written(state, phase, result, found)
        case Retrospective():
            return changed(state, looked_back=True)
    return state


def _looks(state: PipelineState, result: SessionResult) -> int:
    """Tool calls since the session was last heard of."""
    mine = result.record.session
    before = next((one.looks for one in state.records if one.session == mine), 0)
    return result.record.looks - before


def _recorded(state: PipelineState, result: SessionResult) -> PipelineState:
    """A session that goes on has one record, which grows."""
    mine = result.record.session
    records: tuple[PhaseRecord, ...]
    if any(one.session == mine for one in state.records):
        records = tuple(result.record if one.session == mine else one for one in state.records)
    else:
        records = (*state.records, result.record)
    return changed(
        state,
        records=records,
        usage=sum((one.usage for one in records), Usage()),
        cost_microdollars=sum(one.cost_microdollars for one in records),
    )


def _without_success(state: PipelineState, phase: Phase, result: SessionResult) -> Folded:
    if phase is Phase.RETROSPECTIVE:
        # The ending stands, whoever could or could not look back at it.
        return changed(state, looked_back=True)
    name = label_of(result.record.session)
    treatment = recover.after_failure(phase, result.ending, name in state.retried)
    if result.worktree is not None and phase in WRITES:
        state = _housed(state, result)
    if phase is Phase.REVIEW:
        state = changed(state, reviewer=None)
    match treatment:
        case recover.Recovery.RETRY:
            retried = (*state.retried, name)
            state = changed(state, retried=retried, hint=recover.hint(result))
            if phase is Phase.FIX:
                # The same pass, begun again.
                mended = tuple(one for one in state.mended if one != state.mending)
                state = changed(state, passes=state.passes - 1, mended=mended)
            return _slice_unbegun(state, result.record.session)
        case recover.Recovery.KILLED:
            return state, End(ending=PipelineEnding.KILLED, why=result.why)
        case recover.Recovery.OUT_OF_BUDGET:
            why = f"{phase} used up what it may use: {result.why}"
            note = recover.note(state, why, (f"`worktrain logs {result.record.session}`",))
            return end(state, PipelineEnding.OUT_OF_BUDGET, note)
        case recover.Recovery.ESCALATE:
            if phase is Phase.CLASSIFY:
                # Signs and the careful values are enough to go on with.
                return routed(state, None)
            if phase is Phase.REBASE:
                return conflict_gate(state)
            why = f"{phase} ended {result.ending}: {result.why}"
            return escalate(state, why, (f"`worktrain logs {result.record.session}`",))


def routed(state: PipelineState, found: Classification | None) -> PipelineState:
    """Its class and its route; without a model's classification by signs and careful values."""
    request, config = state.request, state.opened.config
    judged = classify.classified(request.task, found, state.opened.files, config)
    route = routing.route_of(request.kind, request.override, request.task, judged, config)
    return changed(state, classified=judged, route=route)


def _reviewed(
    state: PipelineState, result: SessionResult, found: ReviewVerdict, looks: int
) -> Folded:
    assert state.candidate is not None
    session = result.record.session
    at = state.candidate
    state = changed(state, reviewer=session)
    if not looks:
        # A verdict without a single look. Once may be a slip: a fresh reviewer is asked.
        if state.blind:
            return blind(state)
        return changed(state, blind=session, fresh_wanted=True, reviewer=None)
    review = Review(
        session=session,
        at=at,
        verdict=found,
        fresh=state.fresh_wanted and bool(state.reviews),
    )
    return changed(
        state,
        reviews=(*state.reviews, review),
        ledger=ledger.folded(state.ledger, found, session, at.tree),
        fresh_wanted=False,
    )


def _written(
    state: PipelineState, phase: Phase, result: SessionResult, found: CodingHandoff
) -> Folded:
    state = _housed(state, result)
    if phase is Phase.FIX:
        state = changed(state, ledger=ledger.answered(state.ledger, found.dispositions))
    if result.worktree is None:
        return escalate(state, f"{phase} left no worktree to commit from")
    command = commit_of(state, result.worktree, found, result.record.session)
    return changed(state, committing=command.request)


def _housed(state: PipelineState, result: SessionResult) -> PipelineState:
    """Remember where a session has worked."""
    worktree = result.worktree
    if worktree is None:
        return state
    if worktree.branch == branch_of(state):
        return changed(state, worktree=worktree)
    works = tuple(
        one.model_copy(update={"worktree": worktree})
        if _is_slice_of(one.session, result.record.session)
        or (one.worktree is not None and one.worktree.branch == worktree.branch)
        else one
        for one in state.slices
    )
    joining = slices.next_to_integrate(state.slices)
    if result.record.phase == Phase.REBASE and joining is not None:
        # Its change is on another branch now; the old one is given back at the end.
        works = tuple(
            one.model_copy(update={"worktree": worktree}) if one.plan.id == joining.plan.id else one
            for one in state.slices
        )
        old = (joining.worktree,) if joining.worktree else ()
        state = changed(state, left=(*state.left, *old))
    return changed(state, slices=works)


def after_slices(state: PipelineState, results: tuple[SessionResult, ...]) -> Folded:
    """Every slice's session has ended; those that delivered are committed one by one."""
    # Before anything is decided: what each cost counts, and what each left is given back.
    for result in results:
        state = _housed(_recorded(state, result), result)
    for result in results:
        folded_one = after_session(state, result)
        if isinstance(folded_one, tuple):
            return folded_one
        state = _slice_waits(folded_one)
    return next_slice_commit(state)


def _slice_waits(state: PipelineState) -> PipelineState:
    """What is to be committed of a slice waits for its turn."""
    if state.committing is None:
        return state
    return changed(state, committing=None, to_commit=(*state.to_commit, state.committing))


def _slice_unbegun(state: PipelineState, session: str) -> PipelineState:
    """A slice whose session is to run again."""
    works = tuple(
        one.model_copy(update={"session": ""}) if one.session == session else one
        for one in state.slices
    )
    return changed(state, slices=works)


def _is_slice_of(begun: str, session: str) -> bool:
    """Whether a session works for the slice that another one began."""
    return bool(begun) and label_of(begun) == label_of(session)
