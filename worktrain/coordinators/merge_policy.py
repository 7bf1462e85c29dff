"""Whether a change may be merged: facts in, reasons out. Nothing absent counts as passed."""

from collections.abc import Callable, Mapping
from enum import StrEnum

from worktrain.contracts.pipeline import PipelineState
from worktrain.coordinators import ledger, scope
from worktrain.coordinators.candidate import (
    approved,
    audit_of,
    broken_rules,
    criteria,
    examination_of,
    matrix,
    outside,
    put_off,
    review_of,
    verification_of,
    waived,
)
from worktrain.coordinators.compare import judge
from worktrain.coordinators.matrix import holes


class Refusal(StrEnum):
    """Why a merge is refused."""

    NO_CANDIDATE = "there is no change to merge"
    NOT_EXAMINED = "nobody looked at what the change consists of"
    NOT_VERIFIED = "the checks did not run on this tree and this base"
    CHECKS_FAILED = "checks failed"
    RULES_BROKEN = "it breaks rules of the workspace, and nobody accepted that"
    NOT_REVIEWED = "no verdict on this tree"
    FINDINGS = "findings are open, and nobody accepted them"
    UNCOVERED = "an acceptance criterion is not covered, and nobody waived it"
    PUT_OFF = "it puts off work that is no filed issue, and nobody accepted that"
    OUT_OF_SCOPE = "it changes files that nobody declared or accepted"
    NOT_SECONDED = "a second reviewer, whom its class demands, has not looked at the change"
    NOT_AUDITED = "an audit that its class demands is missing"
    AUDIT_BLOCKS = "an audit says that it is not ready, and nobody accepted that"
    NOT_LOOKED = "nobody looked whether base, branch and task are still what they were"
    BASE_MOVED = "the base branch has moved"
    FOREIGN = "the branch holds commits that WorkTrain did not make"
    TASK_EDITED = "the task was edited, and nobody said what that means"
    NOT_APPROVED = "a person has to agree to the merge of this tree, and nobody has"
    NOT_SEALED = "no proof of this commit is stored"
    NO_TURN = "it is not this pipeline's turn to merge"


Holds = Callable[[PipelineState], bool]


def _reviewed_clean(state: PipelineState) -> bool:
    review = review_of(state)
    if review is None:
        return True
    clean = review.verdict.verdict == "clean" and not ledger.open_entries(state.ledger)
    return clean or approved(state, "findings")


def _verified_passed(state: PipelineState) -> bool:
    found = verification_of(state)
    return found is None or judge(found).passed


def _covered(state: PipelineState) -> bool:
    found = matrix(state)
    return found is not None and not holes(found)


def _audits_fine(state: PipelineState) -> bool:
    found = [audit_of(state, spec) for spec in demanded_audits(state)]
    grave = any(one is not None and one.report.verdict == "not_ready" for one in found)
    return not grave or approved(state, "audit")


def _decided_on_edit(state: PipelineState) -> bool:
    edited = state.looked.task if state.looked else None
    return edited is None or any(one.fingerprint == edited.fingerprint for one in state.edits)


POLICY: Mapping[Refusal, Holds] = {
    Refusal.NO_CANDIDATE: lambda state: state.candidate is not None,
    Refusal.NOT_EXAMINED: lambda state: examination_of(state) is not None,
    Refusal.NOT_VERIFIED: lambda state: verification_of(state) is not None,
    Refusal.CHECKS_FAILED: _verified_passed,
    Refusal.RULES_BROKEN: lambda state: (
        waived(state, "rules", broken_rules(state)) or not broken_rules(state)
    ),
    Refusal.NOT_REVIEWED: lambda state: review_of(state) is not None,
    Refusal.FINDINGS: _reviewed_clean,
    Refusal.UNCOVERED: _covered,
    Refusal.PUT_OFF: lambda state: not put_off(state) or waived(state, "put-off", put_off(state)),
    Refusal.OUT_OF_SCOPE: lambda state: (
        not outside(state) or waived(state, "scope", outside(state))
    ),
    Refusal.NOT_SECONDED: lambda state: (
        any(one.fresh for one in state.reviews)
        or not any(
            one.gate == "second_review" for one in (state.route.demands if state.route else ())
        )
    ),
    Refusal.NOT_AUDITED: lambda state: all(
        audit_of(state, spec) is not None for spec in demanded_audits(state)
    ),
    Refusal.AUDIT_BLOCKS: _audits_fine,
    Refusal.NOT_LOOKED: lambda state: state.looked is not None,
    Refusal.BASE_MOVED: lambda state: state.looked is None or state.looked.base == state.base.at,
    Refusal.FOREIGN: lambda state: (
        state.looked is None
        or state.looked.foreign is None
        or state.looked.foreign.head.commit == state.taken_in
    ),
    Refusal.TASK_EDITED: _decided_on_edit,
    Refusal.NOT_APPROVED: lambda state: not human_reasons(state) or approved(state, "merge"),
    Refusal.NOT_SEALED: lambda state: (
        state.candidate is not None
        and bool(state.sealed)
        and state.sealed_for == state.candidate.commit
    ),
    Refusal.NO_TURN: lambda state: state.in_lane,
}
if missing := set(Refusal) ^ set(POLICY):
    raise ImportError(f"POLICY and Refusal differ in {sorted(missing)}")


def refusals(state: PipelineState) -> tuple[Refusal, ...]:
    """Every reason not to merge the candidate as it is now; empty means: merge."""
    return tuple(refusal for refusal, holds in POLICY.items() if not holds(state))


def human_reasons(state: PipelineState) -> tuple[str, ...]:
    """Why a person has to agree to the merge; empty means that the rules answer it."""
    config = state.opened.config
    reasons: list[str] = []
    if config.merge.policy == "ask":
        reasons.append("the workspace asks before every merge")
    if not config.verify:
        reasons.append("no verify commands are configured, so nothing was run that could fail")
    if state.escalation is not None:
        reasons.append(f"it went through escalation: {state.escalation.why}")
    if state.route is not None:
        demands = state.route.demands
        reasons += [demand.why for demand in demands if demand.gate == "human"]
        if any(demand.gate == "criteria" for demand in demands) and not criteria(state):
            reasons.append("its class demands acceptance criteria, and there are none")
    examination = examination_of(state)
    if examination is not None:
        reasons += scope.human_reasons(examination)
        suspended = state.looked.suspended if state.looked else ()
        reasons += [
            f"auto-merge below {path} is suspended, because a merge there turned the base red"
            for path in suspended
            if any(
                scope.matches(touched, (path,))
                for change in examination.changes
                # What is moved away from below it is taken from there as well.
                for touched in (change.path, change.was)
                if touched
            )
        ]
    return tuple(dict.fromkeys(reasons))


def demanded_audits(state: PipelineState) -> tuple[str, ...]:
    """Specs of the audits that this tree needs: by its class, and by what its findings were."""
    by_class = (
        tuple(demand.detail for demand in state.route.demands if demand.gate == "audit")
        if state.route
        else ()
    )
    return tuple(dict.fromkeys((*by_class, *state.escalation_audits)))
