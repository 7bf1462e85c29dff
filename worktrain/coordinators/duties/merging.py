"""From a judged candidate to a merged, proven, watched one: one at a time for each base branch."""

from worktrain.contracts.delivery import MergeRequest, RevertRequest, Suspension
from worktrain.contracts.pipeline import (
    EnterLane,
    Merge,
    OpenRevert,
    PipelineEnding,
    PipelineState,
    Prove,
    Seal,
    Suspend,
)
from worktrain.contracts.proof import Proof
from worktrain.contracts.route import Phase
from worktrain.coordinators import candidate, gates, merge_policy, prove
from worktrain.coordinators.candidate import approved
from worktrain.coordinators.compare import judge
from worktrain.coordinators.duties import Step, changed
from worktrain.coordinators.duties.coding import rebase
from worktrain.coordinators.duties.ending import end, escalate, lane_of
from worktrain.coordinators.duties.judging import verify


def agreed(state: PipelineState) -> Step | None:
    """A person agreed to the merge of this tree, where one has to."""
    reasons = merge_policy.human_reasons(state)
    if not reasons or approved(state, "merge"):
        return None
    assert state.candidate is not None
    verification = candidate.verification_of(state)
    notices = judge(verification).notices if verification else ()
    why = "\n".join(f"- {reason}" for reason in reasons)
    notes = "".join(f"\nNote: {notice}." for notice in notices)
    text = f"Merge {state.candidate.commit[:12]} into {state.base.branch}? Asked because:\n{why}"
    return changed(state, phase=Phase.MERGE), gates.asked(state, "merge", text + notes)


def in_turn(state: PipelineState) -> Step | None:
    """Merges into one base branch go one at a time."""
    if state.in_lane:
        return None
    return changed(state, phase=Phase.MERGE), EnterLane(lane=lane_of(state))


def fresh(state: PipelineState) -> Step | None:
    """The candidate stands on the base branch as it is now; otherwise it is tested anew."""
    assert state.looked is not None
    if state.looked.base == state.base.at:
        return None
    return rebase(state, state.looked.base)


def sealed(state: PipelineState) -> Step | None:
    """The proof of this commit is stored, and is what the stored events say."""
    assert state.candidate is not None
    if state.sealed and state.sealed_for == state.candidate.commit:
        return None
    return state, Seal(proof=proof_of(state))


def merged(state: PipelineState) -> Step | None:
    """The base branch contains exactly the candidate: the policy's last word comes first."""
    if state.merged is not None:
        return None
    refused = merge_policy.refusals(state)
    if refused:
        return escalate(state, f"the merge policy refuses: {'; '.join(refused)}")
    assert state.candidate is not None
    request = MergeRequest(
        pipeline=state.request.pipeline,
        repo=state.request.repo,
        base=state.base,
        candidate=state.candidate,
    )
    return state, Merge(request=request)


def proven(state: PipelineState) -> Step | None:
    """The proof is where anybody can check it."""
    return None if state.proven else (state, Prove(proof=proof_of(state)))


def watched(state: PipelineState) -> Step | None:
    """The base branch is green after the merge; otherwise the change is taken back."""
    config = state.opened.config
    if not config.watch or not config.verify:
        return None
    assert state.merged is not None
    if state.watched is None:
        head = state.looked.base if state.looked else state.merged
        return verify(state, "watch", at=head)
    judged = judge(state.watched)
    if judged.passed or state.watched.candidate != state.merged:
        return None
    why = "; ".join(judged.reasons)
    if state.reverted is None:
        request = RevertRequest(
            pipeline=state.request.pipeline,
            repo=state.request.repo,
            base=state.base.model_copy(update={"at": state.watched.candidate}),
            before=state.base.at,
            merged=state.merged,
            branch=f"worktrain/revert-{state.request.pipeline.rpartition('/')[2]}",
            why=why,
        )
        return state, OpenRevert(request=request)
    paths = _paths(state)
    if not state.suspended:
        suspension = Suspension(
            id=f"{state.request.pipeline.rpartition('/')[2]}-{state.merged.commit[:8]}",
            repo=state.request.repo,
            paths=paths,
            why=f"{state.request.pipeline} was merged and turned {state.base.branch} red: {why}",
        )
        return state, Suspend(suspension=suspension)
    said = (
        f"merged into {state.base.branch} as {state.merged.commit[:12]}, then it was red: {why}. "
        f"The revert is on {state.reverted.branch} ({state.reverted.where}); merge it, or mend the "
        f"cause. Until somebody says `worktrain lift`, nothing below {', '.join(paths)} is merged "
        f"without a person."
    )
    return end(state, PipelineEnding.REVERT_OPENED, said)


def done(state: PipelineState) -> Step | None:
    """All that was owed is done."""
    why = f"merged into {state.base.branch}, reviewed and verified as one tree"
    if state.watched is not None and not judge(state.watched).passed:
        why += "; the base branch is red now, by a later change"
    return end(state, PipelineEnding.MERGED, why)


def proof_of(state: PipelineState) -> Proof:
    assert state.verification is not None
    return prove.proof_of(state, candidate.matrix(state), merge_policy.human_reasons(state))


def _paths(state: PipelineState) -> tuple[str, ...]:
    """The folders that the change touched; a file at the top stands for itself."""
    changes = state.examination.changes if state.examination else ()
    return tuple(dict.fromkeys(one.path.partition("/")[0] for one in changes))
