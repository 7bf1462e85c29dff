"""Whether a change may be merged: facts in, reasons out. Nothing absent counts as passed."""

from enum import StrEnum

from worktrain.contracts.base import Value
from worktrain.contracts.pipeline import PipelineState
from worktrain.contracts.proof import CheckComparison, CheckEnding, Decision, Review, Verification

NAMED_MAX = 10
"""Test ids named in a sentence; the proof record has them all."""


class Refusal(StrEnum):
    """Why a merge is refused."""

    NOT_REVIEWED = "no verdict on this tree"
    FINDINGS = "the verdict on this tree is not clean and nobody accepted its findings"
    NOT_VERIFIED = "the checks did not run on this tree and this base"
    CHECKS_FAILED = "checks failed"
    NOT_APPROVED = "nobody approved the merge of this tree"


class Judgement(Value):
    """What the checks say. `mendable`: a change of the code could alter it."""

    reasons: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    mendable: bool = True

    @property
    def passed(self) -> bool:
        return not self.reasons


def judge(verification: Verification) -> Judgement:
    """Base against candidate, check by check."""
    reasons: list[str] = []
    notices: list[str] = []
    mendable = True
    for pair in verification.checks:
        judged = _judge(pair)
        reasons += judged.reasons
        notices += judged.notices
        mendable = mendable and judged.mendable
    if not verification.checks:
        notices.append("no verify commands are configured, so nothing was run")
    return Judgement(reasons=tuple(reasons), notices=tuple(notices), mendable=mendable)


def _judge(pair: CheckComparison) -> Judgement:
    base, candidate = pair.base, pair.candidate
    name = f"check {pair.name!r}"
    match candidate.ending:
        case CheckEnding.MISSING:
            return Judgement(
                reasons=(
                    f"{name} could not run: `{candidate.command}` was not found "
                    f"(exit code {candidate.exit_code}); install what it needs on this machine. "
                    f"To change the command itself, correct .worktrain/config.yml on the base "
                    f"branch, reject, and run the task again",
                ),
                mendable=base.ending is not CheckEnding.MISSING,
            )
        case CheckEnding.TIMED_OUT:
            return Judgement(
                reasons=(
                    f"{name} was still running after {candidate.seconds:.0f} s and was stopped; "
                    f"if it needs longer, raise its timeout_s in .worktrain/config.yml on the base "
                    f"branch, reject, and run the task again",
                ),
                mendable=base.ending is not CheckEnding.TIMED_OUT,
            )
        case CheckEnding.PASSED:
            return _without_vanished(pair, ())
    if base.ending is not CheckEnding.FAILED:
        newly = set(candidate.failed or ()) - set(base.failed or ())
        which = f": {_named(newly)}" if newly else f" with exit code {candidate.exit_code}"
        return Judgement(reasons=(f"{name} fails{which}",))
    if not base.failed or not candidate.failed:
        return Judgement(
            reasons=(
                f"{name} fails on the base as well, and without a report nobody can tell whether "
                f"the same tests fail; give it a `report` in .worktrain/config.yml, or mend the "
                f"base first",
            ),
            mendable=False,
        )
    newly = set(candidate.failed) - set(base.failed)
    if newly:
        return Judgement(reasons=(f"{name} fails in new places: {_named(newly)}",))
    return _without_vanished(
        pair, (f"{name}: failed before this task and still fails: {_named(set(candidate.failed))}",)
    )


def _without_vanished(pair: CheckComparison, notices: tuple[str, ...]) -> Judgement:
    ran = {*(pair.candidate.passed or ()), *(pair.candidate.failed or ())}
    vanished = set(pair.base.passed or ()) - ran
    if vanished:
        return Judgement(
            reasons=(
                f"check {pair.name!r}: tests that passed on the base are gone or skipped: "
                f"{_named(vanished)}",
            )
        )
    return Judgement(notices=notices)


def _named(tests: set[str]) -> str:
    shown = ", ".join(sorted(tests)[:NAMED_MAX])
    return shown + (f" and {len(tests) - NAMED_MAX} more" if len(tests) > NAMED_MAX else "")


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


def approved(state: PipelineState, gate: str) -> bool:
    """Whether a person let exactly this tree through the gate."""
    return any(
        d.gate == gate
        and d.answer == "approved"
        and state.candidate is not None
        and d.tree == state.candidate.tree
        for d in state.decisions
    )


def needs_approval(state: PipelineState) -> bool:
    """`ask` always asks; `auto` asks where nothing was run that could have failed."""
    config = state.opened.config
    return config.merge.policy == "ask" or not config.verify


def refusals(state: PipelineState) -> tuple[Refusal, ...]:
    """Every reason not to merge the candidate as it is now; empty means: merge."""
    found: list[Refusal] = []
    review = review_of(state)
    if review is None:
        found.append(Refusal.NOT_REVIEWED)
    elif review.verdict.verdict != "clean" and not approved(state, "findings"):
        found.append(Refusal.FINDINGS)
    verification = verification_of(state)
    if verification is None:
        found.append(Refusal.NOT_VERIFIED)
    elif not judge(verification).passed:
        found.append(Refusal.CHECKS_FAILED)
    if needs_approval(state) and not approved(state, "merge"):
        found.append(Refusal.NOT_APPROVED)
    return tuple(found)


def decision(gate: str, answer: str, by: str, reason: str, tree: str | None) -> Decision:
    """A person's answer, bound to what they were shown."""
    return Decision.model_validate(
        {"gate": gate, "answer": answer, "by": by, "reason": reason, "tree": tree}
    )
