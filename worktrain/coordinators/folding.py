"""What an event makes of a pipeline's state; some events name what has to be done next."""

from typing import assert_never

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
from worktrain.contracts.proof import Decision, Verification
from worktrain.contracts.route import PipelineKind
from worktrain.contracts.workspace import CommitRef
from worktrain.coordinators import recover, routing, slices
from worktrain.coordinators.building import candidate_at, committed, rebased, unchanged
from worktrain.coordinators.delivered import after_session, after_slices, routed
from worktrain.coordinators.duties import Folded, changed
from worktrain.coordinators.duties.coding import rebase, take_in
from worktrain.coordinators.duties.ending import end, escalate
from worktrain.coordinators.duties.thinking import unbuilt_moves_on
from worktrain.coordinators.sessions import branch_of


def folded(state: PipelineState, event: PipelineEvent) -> Folded:
    """One event, taken in."""
    match event:
        case Begun():
            return _begun(state)
        case Suspended():
            return changed(state, suspended=True)
        case SessionEnded(result=result):
            return after_session(changed(state, looked=None), result)
        case SessionsEnded(results=results):
            return after_slices(changed(state, looked=None), results)
        case LookedAround(surroundings=seen):
            return unbuilt_moves_on(changed(state, looked=seen))
        case Examined(examination=found):
            return _examined(state, found)
        case Verified(verification=found):
            return _verified(state, found)
        case Committed(at=at, files=files):
            return committed(state, at, files)
        case NothingChanged():
            return unchanged(state)
        case Foreign():
            before = state.looked or Surroundings(base=state.base.at)
            return changed(state, looked=before.model_copy(update={"foreign": event}))
        case Rebased(at=at):
            return rebased(state, at)
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
                unseen = "" if state.watched else ", before the base branch was watched"
                why = f"merged as {state.merged.commit[:12]}; then {why}{unseen}"
                return state, End(ending=PipelineEnding.MERGED, why=why)
            return state, End(ending=PipelineEnding.KILLED, why=why)
        case _:
            assert_never(event)


def _begun(state: PipelineState) -> PipelineState:
    """A branch that is only to be judged is the candidate from the beginning."""
    found = state.opened.candidate
    return state if found is None else candidate_at(routed(state, None), found)


def _examined(state: PipelineState, found: Examination) -> PipelineState:
    """A change that nobody classified is reviewed by what it consists of."""
    state = changed(state, examination=found)
    if state.route is None or state.route.pipeline is not PipelineKind.REVIEW:
        return state
    variables = {**state.route.variables, "rigorMode": routing.rigor_of_change(found)}
    return changed(state, route=state.route.model_copy(update={"variables": variables}))


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
    return changed(candidate_at(state, head), taken_in=head.commit)


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
