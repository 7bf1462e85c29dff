"""What becomes of the candidate: commits, slices that are joined, rebases."""

from worktrain.contracts.artifact import CodingHandoff, Severity
from worktrain.contracts.pipeline import PipelineEnding, PipelineState
from worktrain.contracts.proof import Escalation
from worktrain.contracts.route import Phase
from worktrain.contracts.workspace import CommitRef
from worktrain.coordinators import ledger, slices
from worktrain.coordinators.artifacts import newest
from worktrain.coordinators.duties import Folded, changed
from worktrain.coordinators.duties.ending import end, escalate
from worktrain.coordinators.sessions import label_of

CONTESTS = frozenset({"invalid", "already_fixed", "cannot_reproduce"})
"""Dispositions of a fixer who sees nothing to change."""


def committed(state: PipelineState, at: CommitRef, files: tuple[str, ...]) -> PipelineState:
    """The commit is the candidate, or a slice that waits to be joined."""
    request = state.committing
    assert request is not None
    state = changed(state, committing=None, rebasing=())
    work = next((one for one in state.slices if one.worktree == request.worktree), None)
    if work is None or work.integrated is not None:
        if work is not None:
            # A fix in a slice's own worktree, before the next one is joined.
            state = _with_slice(state, work.plan.id, integrated=at)
        fixed = state.fixed + (label_of(request.key) == Phase.FIX)
        return next_slice_commit(candidate_at(changed(state, fixed=fixed), at))
    strayed = slices.strayed(work, files, state.slices)
    state = _with_slice(state, work.plan.id, committed=at, overlapped=strayed)
    return next_slice_commit(state)


def unchanged(state: PipelineState) -> Folded:
    """A session that was to change something left everything as it was."""
    request = state.committing
    assert request is not None
    state = changed(state, committing=None)
    work = next((one for one in state.slices if one.worktree == request.worktree), None)
    handoff = newest(state.artifacts, CodingHandoff)
    said = f" It says: {'; '.join(handoff.knownLimitations)}" if handoff else ""
    if work is not None and work.integrated is None:
        why = f"the slice {work.plan.id} changed nothing.{said}"
        return escalate(state, why)
    if label_of(request.key) == Phase.FIX:
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


def rebased(state: PipelineState, at: CommitRef) -> Folded:
    """A slice is joined, the work branch holds all of them, or the candidate stands on the base."""
    joining = slices.next_to_integrate(state.slices)
    if joining is not None:
        if at == (state.candidate or state.base.at):
            why = f"nothing is left of the slice {joining.plan.id} on what was joined before it"
            return escalate(changed(state, rebasing=()), why)
        state = _with_slice(state, joining.plan.id, integrated=at)
        return candidate_at(changed(state, rebasing=()), at)
    if state.slices and not state.joined:
        return changed(state, joined=True)
    if at == state.base.at:
        why = f"nothing is left of the change on {state.base.branch} as it is now: all is there"
        return end(changed(state, rebasing=()), PipelineEnding.NO_CHANGE, why)
    return candidate_at(changed(state, rebasing=(), looked=None), at)


def candidate_at(state: PipelineState, at: CommitRef) -> PipelineState:
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


def next_slice_commit(state: PipelineState) -> PipelineState:
    """The slice whose turn it is to be committed, if one waits."""
    if not state.to_commit:
        return state
    return changed(state, committing=state.to_commit[0], to_commit=state.to_commit[1:])


def _with_slice(state: PipelineState, plan: str, **changes: object) -> PipelineState:
    works = tuple(
        one.model_copy(update=changes) if one.plan.id == plan else one for one in state.slices
    )
    return changed(state, slices=works)
