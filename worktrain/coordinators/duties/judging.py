"""Judging the candidate: examined, checked, reviewed, settled, covered, audited; or mended."""

from typing import Literal

from worktrain.contracts.artifact import Severity
from worktrain.contracts.examination import ExamineRequest
from worktrain.contracts.pipeline import AskAgain, Examine, PipelineState, Verify
from worktrain.contracts.proof import Escalation, VerifyRequest
from worktrain.contracts.route import Phase
from worktrain.contracts.workspace import CommitRef
from worktrain.coordinators import candidate, facts, gates, ledger, loop, merge_policy, purse
from worktrain.coordinators.candidate import approved, audit_of, waived
from worktrain.coordinators.compare import judge
from worktrain.coordinators.duties import Step, changed
from worktrain.coordinators.duties.ending import escalate, run
from worktrain.coordinators.matrix import holes
from worktrain.coordinators.sessions import branch_of


def examined(state: PipelineState) -> Step | None:
    """What the change consists of, seen by WorkTrain itself."""
    if candidate.examination_of(state) is not None:
        return None
    assert state.candidate is not None
    request = ExamineRequest(
        pipeline=state.request.pipeline,
        repo=state.request.repo,
        base=state.base.at,
        candidate=state.candidate,
        rules=state.opened.config.architectureRules,
    )
    return changed(state, phase=Phase.REVIEW), Examine(request=request)


def lawful(state: PipelineState) -> Step | None:
    """No rule of the workspace is broken, or a person accepted exactly these breaks."""
    broken = candidate.broken_rules(state)
    return _mended_or_waived(state, "rules", broken, "It breaks rules of this workspace")


def verified(state: PipelineState) -> Step | None:
    """The project's own checks, on base and candidate."""
    found = candidate.verification_of(state)
    if found is None:
        return verify(state, "candidate")
    judged = judge(found)
    if judged.passed:
        return None
    if judged.mendable and _passes_left(state):
        return mend(state)
    text = "\n".join(judged.reasons)
    if judged.mendable:
        text = f"{state.passes} fix passes did not settle this:\n{text}"
    return state, gates.asked(state, "checks", text)


def verified_as_it_is(state: PipelineState) -> Step | None:
    """The checks ran; what they say is for the reviewer."""
    return verify(state, "candidate") if candidate.verification_of(state) is None else None


def reviewed(state: PipelineState) -> Step | None:
    """A verdict on exactly this tree: by the reviewer who knows the change, or by a fresh one."""
    review = candidate.review_of(state)
    if review is not None and not state.fresh_wanted:
        return None
    assert state.candidate is not None
    if state.fresh_wanted or state.reviewer is None or not state.reviews:
        return run(state, Phase.REVIEW)
    limits = purse.limits_for(state)
    if limits is None:
        return run(state, Phase.REVIEW)
    mine = [one for one in state.reviews if one.session == state.reviewer]
    spent = next(one for one in state.records if one.session == state.reviewer)
    return changed(state, phase=Phase.REVIEW), AskAgain(
        session=state.reviewer,
        reviewed=(mine or list(state.reviews))[-1].at,
        at=state.candidate,
        # A parked session goes on counting where it stopped.
        limits=limits.model_copy(
            update={
                "turns_max": limits.turns_max + spent.turns,
                "tokens_max": limits.tokens_max + spent.usage.total,
                "cost_usd_max": limits.cost_usd_max + spent.cost_microdollars / 1e6,
                "minutes_max": limits.minutes_max + spent.worked_s / 60,
            }
        ),
        text="\n\n".join(part for part in (facts.findings(state), facts.packet(state)) if part),
    )


def settled(state: PipelineState) -> Step | None:
    """What the findings lead to: the table of `loop`, carried out."""
    if approved(state, "findings"):
        return None
    move = loop.after_verdict(case_of(state))
    if move.escalated:
        state = _escalated(state, move.why)
    match move.kind:
        case loop.MoveKind.PASS:
            return None
        case loop.MoveKind.FIX:
            return mend(state)
        case loop.MoveKind.SECOND_REVIEW:
            return run(changed(state, fresh_wanted=True), Phase.REVIEW)
        case loop.MoveKind.AUDIT:
            audits = tuple(dict.fromkeys((*state.escalation_audits, *move.audits)))
            return audited(changed(state, escalation_audits=audits))
        case loop.MoveKind.ASK:
            said = facts.findings(state)
            text = f"{move.why}\n{said}"
            return state, gates.asked(state, "findings", text)


def covered(state: PipelineState) -> Step | None:
    """Every acceptance criterion has code, proof and a judgement, or a person waived it."""
    found = candidate.matrix(state)
    said = holes(found) if found else ()
    if not said or found is None:
        return None
    if "criteria" not in state.mended and _passes_left(state):
        return mend(state, "criteria")
    open_ones = tuple(row.criterion.id for row in found.rows if row.holes and not row.waived)
    text = "Not every acceptance criterion is covered:\n" + "\n".join(f"- {one}" for one in said)
    return state, gates.asked(state, "criteria", text, open_ones)


def finished(state: PipelineState) -> Step | None:
    """Nothing is put off that is no filed issue, or a person accepted exactly that."""
    said = candidate.put_off(state)
    return _mended_or_waived(state, "put-off", said, "It puts off work that is no filed issue")


def in_scope(state: PipelineState) -> Step | None:
    """No file was changed that nobody declared, the reviewer's acceptance counted."""
    files = candidate.outside(state)
    return _mended_or_waived(state, "scope", files, "It changes files that nobody declared")


def seconded(state: PipelineState) -> Step | None:
    """A second reviewer who had not seen the change, where its class demands one."""
    demanded = state.route and any(one.gate == "second_review" for one in state.route.demands)
    if not demanded or any(one.fresh for one in state.reviews):
        return None
    return run(changed(state, fresh_wanted=True), Phase.REVIEW)


def audited(state: PipelineState) -> Step | None:
    """The audits that the task's class or its findings demand, on exactly this tree."""
    for spec in merge_policy.demanded_audits(state):
        if audit_of(state, spec) is None:
            return run(state, Phase.AUDIT, spec=spec)
    reports = [audit_of(state, spec) for spec in merge_policy.demanded_audits(state)]
    grave = [one.report for one in reports if one and one.report.verdict == "not_ready"]
    if not grave or approved(state, "audit"):
        return None
    text = "\n".join(
        f"The audit {one.audit} says that it is not ready: {one.summary}"
        + "".join(f"\n- {found.severity}: {found.summary}" for found in one.findings)
        for one in grave
    )
    return state, gates.asked(state, "audit", text)


def verify(
    state: PipelineState,
    purpose: Literal["candidate", "slice", "watch"],
    *,
    base: CommitRef | None = None,
    at: CommitRef | None = None,
) -> Step:
    """Run the project's checks on two commits; on base and candidate, unless others are named."""
    config = state.opened.config
    commit = at or state.candidate
    assert commit is not None
    request = VerifyRequest(
        pipeline=state.request.pipeline,
        repo=state.request.repo,
        base=base or state.base.at,
        candidate=commit,
        commands=config.verify,
        sandbox=config.sandbox,
        purpose=purpose,
    )
    return state, Verify(request=request)


def mend(state: PipelineState, once: str = "") -> Step:
    """Another fix pass, counted before it starts; `once` names what it is tried for one time."""
    entries = ledger.open_entries(state.ledger)
    findings = [
        {"id": one.id, **one.finding.model_dump(mode="json", exclude_none=True, exclude={"known"})}
        for one in entries
    ]
    branch = branch_of(state)
    if state.slices and not state.joined:
        branch = next(
            one.worktree.branch or ""
            for one in state.slices
            if one.worktree is not None and one.integrated == state.candidate
        )
    mended = (*state.mended, once) if once else state.mended
    state = changed(state, passes=state.passes + 1, mended=mended, mending=once)
    variables = {"findings": findings} if findings else {}
    return run(state, Phase.FIX, branch=branch, variables=variables)


def case_of(state: PipelineState) -> loop.Case:
    """What the review loop's table decides on."""
    entries = ledger.open_entries(state.ledger)
    critical = [e.finding for e in entries if e.finding.severity is Severity.CRITICAL]
    reports = [audit_of(state, spec) for spec in state.escalation_audits]
    return loop.Case(
        gravest=ledger.gravest(state.ledger),
        categories=tuple(sorted({f.findingCategory or "unknown" for f in critical})),
        passes=state.passes,
        passes_max=state.opened.config.merge.passes_max,
        fixed_before=state.fixed > 0,
        escalated=state.escalation is not None,
        second_review=any(one.fresh for one in state.reviews),
        audits_done=tuple(
            spec
            for spec, found in zip(state.escalation_audits, reports, strict=True)
            if found is not None
        ),
        progressed=ledger.progressed(state.ledger),
        flapping=ledger.flapping(state.ledger, state.trees),
    )


def _mended_or_waived(
    state: PipelineState, gate: str, said: tuple[str, ...], opening: str
) -> Step | None:
    """One fix pass for it; after that only a person can accept it."""
    if not said or waived(state, gate, said):
        return None
    if gate not in state.mended and _passes_left(state):
        return mend(state, gate)
    text = f"{opening}:\n" + "\n".join(f"- {one}" for one in said)
    return state, gates.asked(state, gate, text, said)


def _escalated(state: PipelineState, why: str) -> PipelineState:
    if state.escalation is not None:
        return state
    assert state.candidate is not None
    return changed(state, escalation=Escalation(why=why, since_tree=state.candidate.tree))


def _passes_left(state: PipelineState) -> bool:
    return state.passes < state.opened.config.merge.passes_max


def blind(state: PipelineState) -> Step:
    """A reviewer who answered without looking, twice."""
    why = "two reviewers in a row gave a verdict without looking at the change"
    return escalate(state, why)
