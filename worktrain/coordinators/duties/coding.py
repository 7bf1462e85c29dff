"""Building the change: in one piece or in slices, committed, on the base as it is now."""

from worktrain.contracts.artifact import ShapingHandoff
from worktrain.contracts.delivery import RebaseRequest
from worktrain.contracts.pipeline import (
    CommitWork,
    PipelineEnding,
    PipelineState,
    Rebase,
    RunSessions,
    SliceWork,
)
from worktrain.contracts.route import Phase, Stage
from worktrain.contracts.session import Diff, SessionEnding, SessionRequest
from worktrain.contracts.workspace import CommitRef, Worktree
from worktrain.coordinators import gates, purse, recover, slices
from worktrain.coordinators.artifacts import newest
from worktrain.coordinators.candidate import verification_of
from worktrain.coordinators.compare import judge
from worktrain.coordinators.duties import Step, changed
from worktrain.coordinators.duties.ending import end, escalate, run
from worktrain.coordinators.duties.judging import mend, verify
from worktrain.coordinators.duties.thinking import alone
from worktrain.coordinators.sessions import branch_of, label_of, session_of

REBASES_MAX = 3
SLICES_MIN = 2


def committed(state: PipelineState) -> Step | None:
    """What a session left in its worktree is committed before anything else happens."""
    if state.committing is None:
        return None
    others = alone(state)
    if others is not None:
        # Asked again the commit would be refused again.
        return others
    stands_on = (state.candidate or state.base.at).commit if _goes_on(state) else None
    known = state.taken_in or stands_on
    request = state.committing.model_copy(update={"known": known})
    return state, CommitWork(request=request)


def coded(state: PipelineState) -> Step | None:
    """There is a candidate: from one session, or from all slices joined."""
    if state.rebasing:
        return _rebase_by_hand(state)
    if state.slices or (state.candidate is None and _in_slices(state)):
        return _sliced(state)
    if state.candidate is not None:
        return None
    return run(state, Phase.CODING, spec=_stage(state).spec, branch=branch_of(state))


def rebase(state: PipelineState, onto: CommitRef) -> Step:
    """Bring the change onto the base branch as it is now: that result is what gets tested."""
    if state.rebases >= REBASES_MAX:
        why = f"{state.base.branch} moved {state.rebases + 1} times while this was being merged"
        return escalate(state, why)
    state = changed(
        state,
        base=state.base.model_copy(update={"at": onto}),
        rebases=state.rebases + 1,
        phase=Phase.REBASE,
    )
    worktree, branch = _home(state)
    request = RebaseRequest(worktree=worktree, onto=onto, branch=branch)
    return state, Rebase(request=request)


def take_in(state: PipelineState, head: CommitRef) -> Step:
    """Bring the work branch to commits of other hands; what it has beside them is put on top."""
    worktree, branch = _home(state)
    request = RebaseRequest(worktree=worktree, onto=head, branch=branch)
    return changed(state, taken_in=head.commit), Rebase(request=request)


def conflict_gate(state: PipelineState) -> Step:
    """A session could not settle the conflict: a person has to."""
    joining = slices.next_to_integrate(state.slices)
    where = ", ".join(state.rebasing)
    if joining is None:
        worktree, onto = _home(state)[0], state.base.at
        before, after = state.built_on, state.candidate
        what = f"{state.base.branch} conflicts with this change in {where}"
    else:
        assert joining.worktree is not None
        worktree, onto = joining.worktree, state.candidate or state.base.at
        before, after = joining.started, joining.committed
        what = f"The slices before {joining.plan.id} conflict with it in {where}"
    assert before is not None
    assert after is not None
    text = (
        f"{what}, and the session that was to settle it could not. The branch is "
        f"{worktree.branch}, checked out in {worktree.root}; it has to stand on {onto.commit[:12]} "
        f"and to hold the change, {before.commit[:12]}..{after.commit[:12]}."
    )
    return state, gates.asked(state, "conflict", text)


def _in_slices(state: PipelineState) -> bool:
    shaping = newest(state.artifacts, ShapingHandoff)
    return shaping is not None and len(shaping.slices) >= SLICES_MIN


def _stage(state: PipelineState) -> Stage:
    assert state.route is not None
    return next(one for one in state.route.stages if one.phase is Phase.CODING)


def _sliced(state: PipelineState) -> Step | None:
    """Code what can be coded side by side, join it one after the other, verify after each."""
    if not state.slices:
        shaping = newest(state.artifacts, ShapingHandoff)
        assert shaping is not None
        state = changed(state, slices=tuple(SliceWork(plan=plan) for plan in shaping.slices))
    if state.candidate is not None and not state.joined:
        verification = verification_of(state)
        if verification is None:
            return verify(state, "slice")
        judged = judge(verification)
        if not judged.passed and judged.mendable and state.passes < _passes_max(state):
            return mend(state)
    following = slices.next_to_integrate(state.slices)
    if following is not None:
        return _join(state, following)
    if all(one.integrated for one in state.slices):
        if state.joined:
            return None
        # The work branch is moved to what is joined: its own commit, onto itself.
        assert state.candidate is not None
        worktree = _last(state)
        request = RebaseRequest(worktree=worktree, onto=state.candidate, branch=branch_of(state))
        return changed(state, phase=Phase.CODING), Rebase(request=request)
    wave = slices.wave(state.slices, state.opened.config.slices_at_once)
    if not wave:
        return escalate(state, "no slice can be begun, although not all are done")
    return _begin(state, wave)


def _begin(state: PipelineState, wave: tuple[SliceWork, ...]) -> Step:
    requests: list[SessionRequest] = []
    for work in wave:
        request = slice_session(state, work, share=len(wave))
        if request is None:
            why = purse.exhausted(state) or "the budget pays for no further session"
            return end(state, PipelineEnding.OUT_OF_BUDGET, recover.note(state, why, ()))
        requests.append(request)
    start = state.candidate or state.base.at
    begun = {work.plan.id: request for work, request in zip(wave, requests, strict=True)}
    works = tuple(
        work.model_copy(update={"session": begun[work.plan.id].session, "started": start})
        if work.plan.id in begun
        else work
        for work in state.slices
    )
    state = changed(state, slices=works, phase=Phase.CODING, hint="")
    return state, RunSessions(requests=tuple(requests), at_once=len(requests))


def slice_session(state: PipelineState, work: SliceWork, share: int = 1) -> SessionRequest | None:
    """The session that codes one slice, on a branch of its own, from what is joined so far."""
    plan = work.plan
    others = dict.fromkeys(
        file for one in state.slices if one.plan.id != plan.id for file in one.plan.files
    )
    told = (
        f"Of the whole work only the slice {plan.id}, {plan.title}: {plan.goal}\n"
        f"Its files: {', '.join(plan.files)}. Its criteria: {', '.join(plan.criteria) or 'none'}. "
        f"It is done when: {plan.check}\n"
        f"Files of the other slices, which it leaves alone: {', '.join(others) or 'none'}."
    )
    return session_of(
        state,
        Phase.CODING,
        spec=_stage(state).spec,
        label=f"coding-{plan.id.lower()}",
        branch=slice_branch(state, work),
        told=told,
        variables={"slices": [plan.model_dump(mode="json")]},
        share=share,
    )


def slice_branch(state: PipelineState, work: SliceWork) -> str:
    # Not below the work branch: git has no branch below another.
    return f"{branch_of(state)}-{work.plan.id.lower()}"


def _join(state: PipelineState, work: SliceWork) -> Step:
    assert work.worktree is not None
    onto = state.candidate or state.base.at
    return changed(state, phase=Phase.CODING), Rebase(
        request=RebaseRequest(worktree=work.worktree, onto=onto)
    )


def _rebase_by_hand(state: PipelineState) -> Step:
    """A session brings the change anew onto what it conflicts with; then a person does."""
    joining = slices.next_to_integrate(state.slices)
    label = f"rebase-{joining.plan.id.lower()}" if joining else "rebase"
    tries = [one for one in state.records if label_of(one.session) == label]
    failed = bool(tries) and tries[-1].ending != SessionEnding.COMPLETED
    if failed and not state.hint:
        return conflict_gate(state)
    if joining is not None:
        assert joining.committed is not None
        onto = state.candidate or state.base.at
        title = f"The slice {joining.plan.id}, which conflicts with what was joined before it"
        start = joining.started or state.base.at
        diff = Diff(title=title, before=start.commit, after=joining.committed.commit)
        branch = f"{slice_branch(state, joining)}-again"
        return run(state, Phase.REBASE, label=label, branch=branch, at=onto.commit, diffs=(diff,))
    assert state.candidate is not None
    assert state.built_on is not None
    title = f"The change, which conflicts with what {state.base.branch} holds now"
    diff = Diff(title=title, before=state.built_on.commit, after=state.candidate.commit)
    if not failed:
        home = _home(state)[0]
        parts = (one.worktree for one in state.slices if one.worktree is not None)
        state = changed(
            state,
            branches=state.branches + 1,
            taken_in=None,
            left=(*state.left, home, *parts),
            # Until the session has one of its own.
            worktree=home,
            joined=False,
            slices=(),
        )
    return run(
        state,
        Phase.REBASE,
        label=label,
        branch=branch_of(state),
        at=state.base.at.commit,
        diffs=(diff,),
    )


def _home(state: PipelineState) -> tuple[Worktree, str]:
    """The worktree that holds the candidate, and the branch that has to follow it, if any."""
    if state.worktree is not None:
        return state.worktree, ""
    return _last(state), branch_of(state)


def _last(state: PipelineState) -> Worktree:
    worktree = next(
        (one.worktree for one in reversed(state.slices) if one.integrated == state.candidate), None
    )
    assert worktree is not None
    return worktree


def _goes_on(state: PipelineState) -> bool:
    """Whether what is to be committed stands on the candidate, on the work branch."""
    request = state.committing
    return (
        request is not None and request.worktree.branch == branch_of(state) and not state.rebasing
    )


def _passes_max(state: PipelineState) -> int:
    return state.opened.config.merge.passes_max
