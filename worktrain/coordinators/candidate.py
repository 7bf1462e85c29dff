"""What is known of exactly the candidate: everything here is bound to its tree and its base."""

from worktrain.contracts.artifact import (
    AcceptanceCriterion,
    Classification,
    CodingHandoff,
    Investigation,
    ShapingHandoff,
)
from worktrain.contracts.examination import Examination
from worktrain.contracts.pipeline import PipelineState
from worktrain.contracts.proof import Audit, Decision, Matrix, Review, Verification
from worktrain.coordinators import scope
from worktrain.coordinators.artifacts import newest
from worktrain.coordinators.matrix import criteria_of, matrix_of


def review_of(state: PipelineState) -> Review | None:
    """The newest verdict on exactly the candidate's tree."""
    candidate = state.candidate
    return next(
        (r for r in reversed(state.reviews) if candidate and r.at.tree == candidate.tree), None
    )


def verification_of(state: PipelineState) -> Verification | None:
    """The checks on exactly the candidate and this base, if every configured one ran there."""
    found = state.verification
    if found is None or found.candidate != state.candidate or found.base != state.base.at:
        return None
    ran = {
        pair.name
        for pair in found.checks
        if pair.candidate.at == found.candidate and pair.base.at == found.base
    }
    return found if {command.name for command in state.opened.config.verify} <= ran else None


def examination_of(state: PipelineState) -> Examination | None:
    """What the candidate changes against this base."""
    found = state.examination
    if found is None or found.candidate != state.candidate or found.base != state.base.at:
        return None
    return found


def audit_of(state: PipelineState, spec: str) -> Audit | None:
    """The newest report of an audit on exactly the candidate's tree."""
    sessions = {record.session for record in state.records if record.spec == spec}
    return next(
        (
            audit
            for audit in reversed(state.audits)
            if audit.session in sessions
            and state.candidate is not None
            and audit.at.tree == state.candidate.tree
        ),
        None,
    )


def approval_of(state: PipelineState, gate: str) -> Decision | None:
    """The newest approval of a gate by a person who was shown exactly this tree."""
    return next(
        (
            d
            for d in reversed(state.decisions)
            if d.gate == gate
            and d.answer == "approved"
            and state.candidate is not None
            and d.tree == state.candidate.tree
        ),
        None,
    )


def approved(state: PipelineState, gate: str) -> bool:
    """Whether a person let exactly this tree through the gate."""
    return approval_of(state, gate) is not None


def waived(state: PipelineState, gate: str, names: tuple[str, ...]) -> bool:
    """Whether a person let each of these through the gate, for exactly this tree."""
    found = approval_of(state, gate)
    return found is not None and set(names) <= set(found.about)


def criteria(state: PipelineState) -> tuple[AcceptanceCriterion, ...]:
    """What must be true of the change: as shaped, as investigated, or as the task's text says."""
    shaping = newest(state.artifacts, ShapingHandoff)
    if shaping is not None:
        return shaping.acceptanceCriteria
    found = newest(state.artifacts, Investigation)
    if found is not None:
        said = " ".join(found.summary.split())[:200]
        return (
            AcceptanceCriterion(id="AC1", statement=f"The fault does not happen any more: {said}"),
            AcceptanceCriterion(
                id="AC2", statement="A test fails without the change, by the fault, and passes now."
            ),
        )
    return criteria_of(state.request.task)


def handoffs(state: PipelineState) -> tuple[CodingHandoff, ...]:
    """What coders and fixers say of the change, oldest first."""
    return tuple(one for one in state.artifacts if isinstance(one, CodingHandoff))


def matrix(state: PipelineState) -> Matrix | None:
    """Criterion by criterion; None while the candidate was not examined and verified."""
    examination, verification = examination_of(state), verification_of(state)
    if examination is None or verification is None:
        return None
    return matrix_of(
        criteria(state),
        handoffs(state),
        examination,
        verification,
        review_of(state),
        state.ledger,
        state.decisions,
    )


def outside(state: PipelineState) -> tuple[str, ...]:
    """Changed files that nobody declared, and the reviewer of this tree did not accept."""
    examination, review = examination_of(state), review_of(state)
    shaping = newest(state.artifacts, ShapingHandoff)
    if examination is None or shaping is None:
        return ()
    declared = (
        *shaping.filesInScope,
        *(file for one in shaping.slices for file in one.files),
    )
    return scope.outside(examination, declared, review.verdict.acceptedFiles if review else ())


def put_off(state: PipelineState) -> tuple[str, ...]:
    """Work that the candidate's lines put off, and that is no filed issue."""
    examination = examination_of(state)
    return scope.put_off(examination) if examination else ()


def broken_rules(state: PipelineState) -> tuple[str, ...]:
    """Rules of the workspace that the candidate's lines break, in words."""
    examination = examination_of(state)
    return tuple(
        f"{one.path}:{one.line} breaks the rule {one.rule!r}: {one.text.strip()}"
        + (f" ({one.why})" if one.why else "")
        for one in (examination.breaks if examination else ())
    )


def interpretation(state: PipelineState) -> str:
    """What the task was taken to ask for; empty when nobody said it."""
    found = newest(state.artifacts, Classification)
    return found.interpretation if found else ""
