"""What a review pipeline does with its verdict: hand it over, have minor findings settled."""

from worktrain.contracts.delivery import ReviewPost
from worktrain.contracts.pipeline import PipelineEnding, PipelineState, PostReview
from worktrain.coordinators import candidate, facts, ledger
from worktrain.coordinators.duties import Step
from worktrain.coordinators.duties.ending import end
from worktrain.coordinators.duties.judging import mend
from worktrain.coordinators.sessions import branch_of


def given(state: PipelineState) -> Step | None:
    """There is a branch to look at."""
    if state.candidate is not None:
        return None
    why = "a review needs the branch that it is to look at: `worktrain run --branch NAME`"
    return end(state, PipelineEnding.FAILED, why)


def mended(state: PipelineState) -> Step | None:
    """Minor findings are settled on a branch of WorkTrain's own, where the workspace wants it."""
    review = candidate.review_of(state)
    assert review is not None
    wanted = state.opened.config.review.fix and review.verdict.verdict == "minor"
    left = state.passes < state.opened.config.merge.passes_max
    return mend(state) if wanted and left and ledger.progressed(state.ledger) else None


def posted(state: PipelineState) -> Step | None:
    """The review is where the author of the change looks, where the workspace wants it."""
    if not state.opened.config.review.post or state.posted:
        return None
    # The author has the commit that was named; what was settled on top of it is WorkTrain's own.
    at = state.opened.candidate
    assert at is not None
    request = ReviewPost(
        pipeline=state.request.pipeline,
        repo=state.request.repo,
        base=state.base,
        at=at,
        text=review_text(state),
    )
    return state, PostReview(request=request)


def told(state: PipelineState) -> Step | None:
    """The verdict is the end."""
    review = candidate.review_of(state)
    assert review is not None
    verdict = review.verdict
    where = f"posted: {state.posted}" if state.posted else "a draft: `worktrain show` has it"
    why = f"{verdict.verdict}, {len(verdict.findings)} findings; {where}"
    return end(state, PipelineEnding.COMPLETED, why)


def review_text(state: PipelineState) -> str:
    """The review as people read it."""
    review = candidate.review_of(state)
    assert review is not None
    parts = [f"Verdict: {review.verdict.verdict}", review.verdict.summary]
    parts += [part for part in (facts.findings(state), facts.packet(state)) if part]
    if state.candidate != state.opened.candidate:
        parts.append(f"What was settled is on the branch {branch_of(state)}.")
    return "\n\n".join(parts) + "\n"
