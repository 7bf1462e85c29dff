"""What an event makes of a pipeline's state; some events name what has to be done next."""

from typing import assert_never

from worktrain.contracts.artifact import (
    AuditReport,
    Classification,
    CodingHandoff,
    Retrospective,
    ReviewVerdict,
    Severity,
)
from worktrain.contracts.delivery import (
    BaseMoved,
    Committed,
    Conflicted,
    Foreign,
    Merged,
    NothingChanged,
    Posted,
    Rebased,
    Reverted,
    Surroundings,
)
from worktrain.contracts.examination import Examination
from worktrain.contracts.pipeline import (
    Begun,
    Decided,
    End,
    Examined,
    LaneGranted,
    LaneLeft,
    LookedAround,
    PipelineEnding,
    PipelineEvent,
    PipelineKilled,
    PipelineState,
    Proven,
    Sealed,
    SessionEnded,
    SessionsEnded,
    StepFailed,
    Suspended,
    Unanswered,
    Verified,
)
from worktrain.contracts.proof import Audit, Decision, Escalation, PhaseRecord, Review, Verification
from worktrain.contracts.route import Phase, PipelineKind
from worktrain.contracts.session import SessionEnding, SessionResult
from worktrain.contracts.turn import Usage
from worktrain.contracts.workspace import CommitRef
from worktrain.coordinators import classify, ledger, recover, routing, slices
from worktrain.coordinators.artifacts import newest
from worktrain.coordinators.duties import Step, changed
from worktrain.coordinators.duties.coding import conflict_gate, rebase, take_in
from worktrain.coordinators.duties.ending import end, escalate
from worktrain.coordinators.duties.judging import blind
from worktrain.coordinators.duties.thinking import unbuilt_moves_on
from worktrain.coordinators.sessions import DELIVERS, WRITES, branch_of, commit_of

CONTESTS = frozenset({"invalid", "already_fixed", "cannot_reproduce"})
"""Dispositions of a fixer who sees nothing to change."""

Folded = PipelineState | Step
"""The state alone: whatever is owed next. Or a step that has to come next."""


def folded(state: PipelineState, event: PipelineEvent) -> Folded:
    """One event, taken in."""
    match event:
        case Begun():
            return _begun(state)
        case Suspended():
            return changed(state, suspended=True)
        case SessionEnded(result=result):
            return _after_session(changed(state, looked=None), result)
        case SessionsEnded(results=results):
            return _after_slices(changed(state, looked=None), results)
        case LookedAround(surroundings=seen):
            return unbuilt_moves_on(changed(state, looked=seen))
        case Examined(examination=found):
            return _examined(state, found)
        case Verified(verification=found):
            return _verified(state, found)
        case Committed(at=at, files=files):
            return _committed(state, at, files)
        case NothingChanged():
            return _unchanged(state)
        case Foreign():
            before = state.looked or Surroundings(base=state.base.at)
            return changed(state, looked=before.model_copy(update={"foreign": event}))
        case Rebased(at=at):
            return _rebased(state, at)
        case Conflicted(files=files) if state.taken_in is not None:
            why = (
                f"commits of others on {branch_of(state)}, up to {state.taken_in[:12]}, conflict "
                f"with what WorkTrain has there, in {', '.join(files)}; bring them together by hand"
            )
            return escalate(state, why)
        case Conflicted(files=files):
            # At least one name: an empty list would say that there is no conflict.
            return changed(state, rebasing=files or ("(no file was named)",))
        case Decided(decision=decision):
            return _decided(state, decision)
        case Unanswered(gate=gate):
            why = f"nobody answered the question {gate!r} in time, and silence is never a yes"
            note = recover.note(state, why, ())
            return end(state, PipelineEnding.UNANSWERED, note)
        case LaneGranted():
            return changed(state, in_lane=True, looked=None)
        case LaneLeft():
            return changed(state, in_lane=False)
        case Sealed(sealed=sealed):
            if sealed.broken:
                why = f"the proof is not what was stored on the way: {'; '.join(sealed.broken)}"
                return escalate(state, why)
            commit = state.candidate.commit if state.candidate else ""
            return changed(state, sealed=sealed.digest, sealed_for=commit)
        case BaseMoved(now=now):
            return rebase(state, now)
        case Merged(at=at):
            return _merged(state, at)
        case Proven():
            return changed(state, proven=True, looked=None)
        case Reverted():
            return changed(state, reverted=event)
        case Posted(where=where):
            return changed(state, posted=where)
        case StepFailed(failure=failure):
            return _failed(state, failure.said)
        case PipelineKilled(why=why):
            if state.merged is not None:
                why = f"merged as {state.merged.commit[:12]}; then {why}, before it was watched"
                return state, End(ending=PipelineEnding.MERGED, why=why)
            return state, End(ending=PipelineEnding.KILLED, why=why)
        case _:
            assert_never(event)


def _begun(state: PipelineState) -> PipelineState:
    """A branch that is only to be judged is the candidate from the beginning."""
    found = state.opened.candidate
    return state if found is None else _candidate(_routed(state, None), found)


def _examined(state: PipelineState, found: Examination) -> PipelineState:
    """A change that nobody classified is reviewed by what it consists of."""
    state = changed(state, examination=found)
    if state.route is None or state.route.pipeline is not PipelineKind.REVIEW:
        return state
    variables = {**state.route.variables, "rigorMode": routing.rigor_of_change(found)}
    return changed(state, route=state.route.model_copy(update={"variables": variables}))


def _after_session(state: PipelineState, result: SessionResult) -> Folded:
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
            return _routed(state, found)
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
    name = result.record.session.rpartition("/")[2].rpartition("-")[0]
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
                return _routed(state, None)
            if phase is Phase.REBASE:
                return conflict_gate(state)
            why = f"{phase} ended {result.ending}: {result.why}"
            return escalate(state, why, (f"`worktrain logs {result.record.session}`",))


def _routed(state: PipelineState, found: Classification | None) -> PipelineState:
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


def _after_slices(state: PipelineState, results: tuple[SessionResult, ...]) -> Folded:
    """Every slice's session has ended; those that delivered are committed one by one."""
    # Before anything is decided: what each cost counts, and what each left is given back.
    for result in results:
        state = _housed(_recorded(state, result), result)
    for result in results:
        folded_one = _after_session(state, result)
        if isinstance(folded_one, tuple):
            return folded_one
        state = _slice_waits(folded_one)
    return _next_slice_commit(state)


def _slice_waits(state: PipelineState) -> PipelineState:
    """What is to be committed of a slice waits for its turn."""
    if state.committing is None:
        return state
    return changed(state, committing=None, to_commit=(*state.to_commit, state.committing))


def _next_slice_commit(state: PipelineState) -> PipelineState:
    if not state.to_commit:
        return state
    return changed(state, committing=state.to_commit[0], to_commit=state.to_commit[1:])


def _committed(state: PipelineState, at: CommitRef, files: tuple[str, ...]) -> PipelineState:
    """The commit is the candidate, or a slice that waits to be joined."""
    request = state.committing
    assert request is not None
    state = changed(state, committing=None, rebasing=())
    session = request.key
    work = next((one for one in state.slices if one.worktree == request.worktree), None)
    if work is None or work.integrated is not None:
        if work is not None:
            # A fix in a slice's own worktree, before the next one is joined.
            state = _with_slice(state, work.plan.id, integrated=at)
        fixed = state.fixed + (Phase.FIX in session.rpartition("/")[2])
        return _next_slice_commit(_candidate(changed(state, fixed=fixed), at))
    strayed = slices.strayed(work, files, state.slices)
    state = _with_slice(state, work.plan.id, committed=at, overlapped=strayed)
    return _next_slice_commit(state)


def _unchanged(state: PipelineState) -> Folded:
    request = state.committing
    assert request is not None
    state = changed(state, committing=None)
    work = next((one for one in state.slices if one.worktree == request.worktree), None)
    handoff = newest(state.artifacts, CodingHandoff)
    said = f" It says: {'; '.join(handoff.knownLimitations)}" if handoff else ""
    if work is not None and work.integrated is None:
        why = f"the slice {work.plan.id} changed nothing.{said}"
        return escalate(state, why)
    if Phase.FIX in request.key.rpartition("/")[2]:
        if handoff is not None and _contested(state, handoff):
            return _heard_by_others(state)
        why = (
            "the fix session changed nothing, although there was something to settle; look at the "
            f"findings and at what it says of each.{said}"
        )
        return escalate(state, why)
    why = f"coding changed nothing: it may be done already, or has to be put differently.{said}"
    return end(state, PipelineEnding.NO_CHANGE, why)


def _contested(state: PipelineState, handoff: CodingHandoff) -> bool:
    """Whether a fixer who changed nothing says of every open finding that there is nothing to
    change."""
    said = {one.finding for one in handoff.dispositions if one.outcome in CONTESTS}
    entries = ledger.open_entries(state.ledger)
    return bool(entries) and all(entry.id in said for entry in entries)


def _heard_by_others(state: PipelineState) -> PipelineState:
    """Reviewer and fixer differ: somebody who has not seen the change decides, and where it is
    about something critical, a person has to agree in the end."""
    assert state.candidate is not None
    tree = state.candidate.tree
    state = changed(state, fresh_wanted=True, fixed=state.fixed + 1)
    if ledger.gravest(state.ledger) is Severity.CRITICAL and state.escalation is None:
        why = "its fixer says that a critical finding is wrong"
        return changed(state, escalation=Escalation(why=why, since_tree=tree))
    return state


def _rebased(state: PipelineState, at: CommitRef) -> Folded:
    joining = slices.next_to_integrate(state.slices)
    if joining is not None:
        if at == (state.candidate or state.base.at):
            why = f"nothing is left of the slice {joining.plan.id} on what was joined before it"
            return escalate(changed(state, rebasing=()), why)
        state = _with_slice(state, joining.plan.id, integrated=at)
        return _candidate(changed(state, rebasing=()), at)
    if state.slices and not state.joined:
        return changed(state, joined=True)
    if at == state.base.at:
        why = f"nothing is left of the change on {state.base.branch} as it is now: all is there"
        return end(changed(state, rebasing=()), PipelineEnding.NO_CHANGE, why)
    return _candidate(changed(state, rebasing=(), looked=None), at)


def _candidate(state: PipelineState, at: CommitRef) -> PipelineState:
    """Whatever was known of another tree says nothing about this one."""
    if state.candidate == at:
        return state
    works = state.slices
    if state.candidate is not None and state.joined:
        works = tuple(
            one.model_copy(update={"integrated": at}) if one.integrated == state.candidate else one
            for one in state.slices
        )
    return changed(
        state,
        candidate=at,
        built_on=state.base.at,
        trees=(*state.trees, at.tree),
        slices=works,
        taken_in=None,
        sealed="",
        sealed_for="",
    )


def _verified(state: PipelineState, found: Verification) -> Folded:
    if state.merged is not None:
        return changed(state, watched=found)
    wanted = {command.name for command in state.opened.config.verify}
    ran = {pair.name for pair in found.checks}
    if found.candidate != state.candidate or found.base != state.base.at or not wanted <= ran:
        # Asking again would be answered the same way, for ever.
        why = "the checks that ran are not all of those asked for, or not on this change"
        return end(state, PipelineEnding.FAILED, why)
    return changed(state, verification=found)


def _decided(state: PipelineState, decision: Decision) -> Folded:
    seen = state.looked
    state = changed(state, decisions=(*state.decisions, decision), looked=None)
    if decision.answer == "rejected":
        why = f"{decision.by} rejected {decision.gate!r}: {decision.reason or 'no reason'}"
        return end(state, PipelineEnding.REJECTED, why)
    if decision.reason:
        state = changed(state, words=(*state.words, f"{decision.by}: {decision.reason}"))
    match decision.gate:
        case "checks":
            # The cause is mended: run them again.
            return changed(state, verification=None)
        case "foreign-commits" if seen is not None and seen.foreign is not None:
            return _let_in(state, seen.foreign.head)
        case "task-edited" if seen is not None and seen.task is not None:
            return changed(state, edits=(*state.edits, seen.task))
        case "conflict":
            state = changed(state, rebasing=())
            if slices.next_to_integrate(state.slices) is not None:
                # The slice is joined again, from where the person put it.
                return state
            return rebase(changed(state, rebases=state.rebases - 1), state.base.at)
    return state


def _let_in(state: PipelineState, head: CommitRef) -> Folded:
    """Commits of others become part of the candidate."""
    if state.candidate is None:
        return changed(state, taken_in=head.commit)
    if state.committing is None:
        # They may be on the remote alone, and what comes next is built on the branch here.
        return take_in(state, head)
    return changed(_candidate(state, head), taken_in=head.commit)


def _merged(state: PipelineState, at: CommitRef) -> Folded:
    state = changed(state, merged=at)
    if at == state.candidate:
        return state
    why = (
        f"{state.base.branch} names {at.commit[:12]} after the merge, which is not the commit that "
        f"was reviewed and verified; compare the two, and undo it if need be"
    )
    return escalate(state, why)


def _failed(state: PipelineState, said: str) -> Folded:
    if state.end is not None:
        # What fails after the ending is settled does not change it.
        return state, state.end
    note = recover.note(state, said, ())
    return state, End(ending=PipelineEnding.FAILED, why=note)


def _slice_unbegun(state: PipelineState, session: str) -> PipelineState:
    """A slice whose session is to run again."""
    works = tuple(
        one.model_copy(update={"session": ""}) if one.session == session else one
        for one in state.slices
    )
    return changed(state, slices=works)


def _with_slice(state: PipelineState, plan: str, **changes: object) -> PipelineState:
    works = tuple(
        one.model_copy(update=changes) if one.plan.id == plan else one for one in state.slices
    )
    return changed(state, slices=works)


def _is_slice_of(begun: str, session: str) -> bool:
    """Whether a session works for the slice that another one began."""
    return bool(begun) and begun.rpartition("-")[0] == session.rpartition("-")[0]
