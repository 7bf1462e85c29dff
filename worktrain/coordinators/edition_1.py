"""The coordinator of pipelines that began under the first edition of the rules.

They go on as they began: their histories have to replay. Nothing new starts here, and the file can
go when no such pipeline is left.
"""

from enum import StrEnum

from worktrain.contracts.artifact import (
    CodingHandoff,
    DiscoveryHandoff,
    Handoff,
    ReviewVerdict,
    ShapingHandoff,
)
from worktrain.contracts.delivery import (
    BaseMoved,
    Committed,
    Conflicted,
    Merged,
    MergeRequest,
    NothingChanged,
    Rebased,
    RebaseRequest,
)
from worktrain.contracts.pipeline import (
    Begun,
    Decided,
    End,
    Merge,
    OpenGate,
    PipelineCommand,
    PipelineEnding,
    PipelineEvent,
    PipelineKilled,
    PipelineState,
    Prove,
    Proven,
    Rebase,
    RunSession,
    SessionEnded,
    StepFailed,
    Verified,
    Verify,
)
from worktrain.contracts.proof import Review, VerifyRequest
from worktrain.contracts.route import Phase, PipelineKind
from worktrain.contracts.session import SessionEnding, SessionRequest, SessionResult
from worktrain.coordinators import candidate as candidate_facts
from worktrain.coordinators import context, prove
from worktrain.coordinators.artifacts import newest
from worktrain.coordinators.compare import judge
from worktrain.coordinators.sessions import branch_of, commit_of

FIRST: dict[PipelineKind, Phase] = {
    PipelineKind.FEATURE: Phase.DISCOVERY,
    PipelineKind.IMPLEMENT: Phase.CODING,
    PipelineKind.QUICK: Phase.CODING,
}
SPEC: dict[Phase, str] = {
    Phase.DISCOVERY: "discovery",
    Phase.SHAPING: "shaping",
    Phase.CODING: "coding-task",
    Phase.REVIEW: "review",
    Phase.FIX: "fix",
}
THINKS_ONLY: dict[Phase, Phase] = {
    Phase.DISCOVERY: Phase.SHAPING,
    Phase.SHAPING: Phase.CODING,
}
"""What follows a phase that delivers an artifact and no code."""
DELIVERS: dict[Phase, type[Handoff]] = {
    Phase.DISCOVERY: DiscoveryHandoff,
    Phase.SHAPING: ShapingHandoff,
    Phase.CODING: CodingHandoff,
    Phase.REVIEW: ReviewVerdict,
    Phase.FIX: CodingHandoff,
}
"""The one kind of artifact that is taken from a phase: a coder sets no acceptance criteria."""
ON_THE_BRANCH = frozenset({Phase.CODING, Phase.FIX})
REBASES_MAX = 3


def route(state: PipelineState, event: PipelineEvent) -> tuple[PipelineState, PipelineCommand]:
    """Fold one event into the state and name the one thing to do next."""
    match event:
        case Begun():
            return _session(state, FIRST[state.request.kind])
        case SessionEnded(result=result):
            return _after_session(state, result)
        case Committed(at=at):
            return _towards_merge(_with(state, candidate=at))
        case NothingChanged():
            return state, _without_change(state)
        case Verified(verification=verification):
            state = _with(state, verification=verification)
            if candidate_facts.verification_of(state) is None:
                # Asking again would be answered the same way, for ever.
                why = "the checks that ran are not all of those asked for, or not on this change"
                return state, End(ending=PipelineEnding.FAILED, why=why)
            return _towards_merge(state)
        case Decided(decision=decision):
            state = _with(state, decisions=(*state.decisions, decision))
            if decision.answer == "rejected":
                why = f"{decision.by} rejected {decision.gate!r}: {decision.reason or 'no reason'}"
                return state, End(ending=PipelineEnding.REJECTED, why=why)
            if decision.gate == "conflict":
                return _rebase(state)
            if decision.gate == "checks":
                # Approved means: the cause is mended, run them again.
                return _towards_merge(_with(state, verification=None))
            return _towards_merge(state)
        case BaseMoved(now=now):
            return _rebase(
                _with(
                    state,
                    base=state.base.model_copy(update={"at": now}),
                    rebases=state.rebases + 1,
                )
            )
        case Rebased(at=at):
            return _towards_merge(_with(state, candidate=at))
        case Conflicted(files=files):
            return state, _conflict_gate(state, files)
        case Merged(at=at):
            state = _with(state, merged=at)
            if at != state.candidate:
                branch = state.base.branch
                why = (
                    f"{branch} names {at.commit[:12]} after the merge, which is not the commit "
                    f"that was reviewed and verified; compare the two, and undo it if need be"
                )
                return state, End(ending=PipelineEnding.ESCALATED, why=why)
            return state, Prove(proof=prove.proof_of(state))
        case Proven():
            branch = state.base.branch
            why = f"merged into {branch}, reviewed and verified as one tree"
            return state, End(ending=PipelineEnding.MERGED, why=why)
        case StepFailed(failure=failure):
            return state, End(ending=PipelineEnding.FAILED, why=failure.said)
        case PipelineKilled(why=why):
            return state, End(ending=PipelineEnding.KILLED, why=why)
        case _:
            why = f"the first edition has no use for {event.kind!r}"
            return state, End(ending=PipelineEnding.FAILED, why=why)


def _session(state: PipelineState, phase: Phase) -> tuple[PipelineState, PipelineCommand]:
    """Run the next session of a phase, on the branch or on a checkout of its own."""
    number = 1 + sum(record.phase == phase for record in state.records)
    config = state.opened.config
    request = state.request
    on_branch = phase in ON_THE_BRANCH
    state = _with(state, phase=phase)
    return state, RunSession(
        request=SessionRequest(
            session=f"{request.pipeline}/{phase}-{number}",
            pipeline=request.pipeline,
            phase=phase,
            spec=SPEC[phase],
            repo=request.repo,
            base=state.base.at.commit,
            at=(state.candidate or state.base.at).commit,
            branch=branch_of(state) if on_branch else None,
            task=request.task,
            sections=context.sections(phase, state),
            limits=config.limits,
            models=config.models,
            model=request.model,
            sandbox=config.sandbox,
            soul=config.soul,
            gates=config.gates,
        )
    )


def _after_session(
    state: PipelineState, result: SessionResult
) -> tuple[PipelineState, PipelineCommand]:
    phase = state.phase
    kind = DELIVERS[phase]
    taken = tuple(artifact for artifact in result.artifacts if isinstance(artifact, kind))
    result = result.model_copy(update={"artifacts": taken})
    state = _with(
        state,
        records=(*state.records, result.record),
        artifacts=(*state.artifacts, *result.artifacts),
        usage=state.usage + result.record.usage,
        cost_microdollars=state.cost_microdollars + result.record.cost_microdollars,
        worktree=(result.worktree or state.worktree) if phase in ON_THE_BRANCH else state.worktree,
    )
    if result.ending is SessionEnding.KILLED:
        return state, End(ending=PipelineEnding.KILLED, why=result.why)
    if result.ending is not SessionEnding.COMPLETED:
        why = f"{phase} ended {result.ending}: {result.why}"
        return state, End(ending=PipelineEnding.FAILED, why=why)
    if phase in THINKS_ONLY:
        return _session(state, THINKS_ONLY[phase])
    if phase is Phase.REVIEW:
        verdict = newest(result.artifacts, ReviewVerdict)
        if verdict is None or state.candidate is None:
            why = "the review ended without a verdict"
            return state, End(ending=PipelineEnding.FAILED, why=why)
        review = Review(session=result.record.session, at=state.candidate, verdict=verdict)
        return _towards_merge(_with(state, reviews=(*state.reviews, review)))
    return state, _commit(state, result)


def _commit(state: PipelineState, result: SessionResult) -> PipelineCommand:
    handoff = newest(result.artifacts, CodingHandoff)
    if state.worktree is None or handoff is None:
        why = f"{state.phase} ended without a handoff"
        return End(ending=PipelineEnding.FAILED, why=why)
    return commit_of(state, state.worktree, handoff, result.record.session)


def _without_change(state: PipelineState) -> PipelineCommand:
    if state.phase is Phase.FIX:
        why = (
            "the fix session changed nothing, although there was something to mend; "
            "look at the findings and the branch, then decide by hand"
        )
        return End(ending=PipelineEnding.ESCALATED, why=why)
    why = "coding changed nothing: the task may be done already, or needs to be put differently"
    return End(ending=PipelineEnding.NO_CHANGE, why=why)


def _towards_merge(state: PipelineState) -> tuple[PipelineState, PipelineCommand]:
    """The first thing that the candidate still lacks; everything is about exactly its tree."""
    candidate = state.candidate
    review = candidate_facts.review_of(state)
    if candidate is None or review is None:
        return _session(state, Phase.REVIEW)
    if review.verdict.verdict != "clean" and not candidate_facts.approved(state, "findings"):
        return _mend(state, "findings", _findings(review))
    state = _with(state, phase=Phase.MERGE)
    verification = candidate_facts.verification_of(state)
    if verification is None:
        return state, Verify(
            request=VerifyRequest(
                pipeline=state.request.pipeline,
                repo=state.request.repo,
                base=state.base.at,
                candidate=candidate,
                commands=state.opened.config.verify,
                sandbox=state.opened.config.sandbox,
            )
        )
    judged = judge(verification)
    if not judged.passed:
        text = "\n".join(judged.reasons)
        if judged.mendable:
            return _mend(state, "checks", text)
        return state, OpenGate(gate="checks", text=f"{text}\nApprove to run the checks again.")
    if _needs_approval(state) and not candidate_facts.approved(state, "merge"):
        notices = "".join(f"\nNote: {notice}." for notice in judged.notices)
        text = f"Merge {candidate.commit[:12]} into {state.base.branch}?{notices}"
        return state, OpenGate(gate="merge", text=text)
    refused = _refusals(state)
    if refused:
        why = f"the merge policy refuses: {'; '.join(refused)}"
        return state, End(ending=PipelineEnding.ESCALATED, why=why)
    return state, Merge(
        request=MergeRequest(
            pipeline=state.request.pipeline,
            repo=state.request.repo,
            base=state.base,
            candidate=candidate,
        )
    )


def _mend(state: PipelineState, gate: str, what: str) -> tuple[PipelineState, PipelineCommand]:
    """Another fix pass, counted before it starts; when there are none left, a person."""
    passes_max = state.opened.config.merge.passes_max
    if state.passes < passes_max:
        return _session(_with(state, passes=state.passes + 1), Phase.FIX)
    ask = {
        "findings": "Approve to go on in spite of them, reject to end here.",
        "checks": "Approve to run the checks again, reject to end here.",
    }[gate]
    text = f"{state.passes} fix passes did not settle this:\n{what}\n{ask}"
    return state, OpenGate(gate=gate, text=text)


def _findings(review: Review) -> str:
    return "\n".join(
        f"- {finding.severity}: {finding.summary}" + (f" ({finding.file})" if finding.file else "")
        for finding in review.verdict.findings
    )


def _rebase(state: PipelineState) -> tuple[PipelineState, PipelineCommand]:
    if state.worktree is None or state.rebases > REBASES_MAX:
        why = f"{state.base.branch} moved {state.rebases} times while this was being merged"
        return state, End(ending=PipelineEnding.ESCALATED, why=why)
    return state, Rebase(request=RebaseRequest(worktree=state.worktree, onto=state.base.at))


def _conflict_gate(state: PipelineState, files: tuple[str, ...]) -> PipelineCommand:
    where = state.worktree.root if state.worktree else branch_of(state)
    return OpenGate(
        gate="conflict",
        text=(
            f"{state.base.branch} moved and conflicts with this change in {', '.join(files)}. "
            f"Rebase the branch {branch_of(state)} in {where} by hand and approve to go on, "
            f"or reject to end here; the branch is kept."
        ),
    )


def _with(state: PipelineState, **changes: object) -> PipelineState:
    return state.model_copy(update=changes)


class _Refusal(StrEnum):
    NOT_REVIEWED = "no verdict on this tree"
    FINDINGS = "the verdict on this tree is not clean and nobody accepted its findings"
    NOT_VERIFIED = "the checks did not run on this tree and this base"
    CHECKS_FAILED = "checks failed"
    NOT_APPROVED = "nobody approved the merge of this tree"


def _needs_approval(state: PipelineState) -> bool:
    config = state.opened.config
    return config.merge.policy == "ask" or not config.verify


def _refusals(state: PipelineState) -> tuple[_Refusal, ...]:
    found: list[_Refusal] = []
    review = candidate_facts.review_of(state)
    if review is None:
        found.append(_Refusal.NOT_REVIEWED)
    elif review.verdict.verdict != "clean" and not candidate_facts.approved(state, "findings"):
        found.append(_Refusal.FINDINGS)
    verification = candidate_facts.verification_of(state)
    if verification is None:
        found.append(_Refusal.NOT_VERIFIED)
    elif not judge(verification).passed:
        found.append(_Refusal.CHECKS_FAILED)
    if _needs_approval(state) and not candidate_facts.approved(state, "merge"):
        found.append(_Refusal.NOT_APPROVED)
    return tuple(found)
