"""A proof held against what was stored on the way: every word of it, and nothing left out."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from worktrain.contracts.artifact import (
    AuditReport,
    CodingHandoff,
    Investigation,
    ReviewVerdict,
    ShapingHandoff,
)
from worktrain.contracts.examination import Examination
from worktrain.contracts.ledger import Ledger
from worktrain.contracts.proof import (
    Decision,
    PhaseRecord,
    Proof,
    Verification,
)
from worktrain.contracts.record import Seen
from worktrain.contracts.route import Phase
from worktrain.contracts.session import SessionClosed, SessionEnding
from worktrain.coordinators.artifacts import newest
from worktrain.coordinators.matrix import criteria_of, matrix_of
from worktrain.coordinators.prove import newest_review

Kind = TypeVar("Kind", bound=BaseModel)
Fact = TypeVar("Fact", Verification, Examination)


def differences(
    proof: Proof, sessions: Sequence[SessionClosed], seen: Sequence[Seen]
) -> tuple[str, ...]:
    """What the record says and the store does not, and what the store has about the merged tree
    and the record leaves out; a sentence each.

    `sessions` are all ended sessions of the pipeline, `seen` all that was found out for it.
    """
    # Those below a session are told of in its own record.
    own = {one.session: one for one in sessions if _parent(one.session) == proof.pipeline}
    return (
        *_other_records(proof, own),
        *_other_words(proof, own),
        *_other_criteria(proof, own),
        *_other_facts(proof, seen),
        *_other_decisions(proof, seen),
    )


def _other_records(proof: Proof, own: dict[str, SessionClosed]) -> Iterator[str]:
    for record in proof.phases:
        stored = own.get(record.session)
        if stored is None:
            if record.turns:
                yield f"how {record.session} ended is in the record and not in the store"
        elif stored.record != record:
            here, there = record.model_dump(), stored.record.model_dump()
            names = [name for name in here if here[name] != there[name]]
            yield f"the store tells {record.session} otherwise: {', '.join(names)} differ"
    known = {record.session for record in proof.phases}
    for session in own:
        if session not in known:
            yield f"{session} ended, and the record leaves it out"


def _other_words(proof: Proof, own: dict[str, SessionClosed]) -> Iterator[str]:
    """Verdicts and audits: each was said, and the last word of every reviewer is there."""
    for review in proof.reviews:
        if _plain(review.verdict) not in _said(own, review.session, ReviewVerdict):
            yield f"{review.session} did not give the verdict that the record has of it"
    for audit in proof.audits:
        if audit.report not in _said(own, audit.session, AuditReport):
            yield f"{audit.session} did not give the audit report that the record has of it"
    for session, closed in own.items():
        if closed.record.ending == SessionEnding.COMPLETED:
            yield from _left_out(proof, own, session, closed.record)
    rounds = [(one.session, one.tree) for one in (proof.ledger or Ledger()).rounds]
    if proof.ledger is not None and rounds != [(r.session, r.at.tree) for r in proof.reviews]:
        yield "the finding ledger in the record was made of other verdicts than stand in it"


def _left_out(
    proof: Proof, own: dict[str, SessionClosed], session: str, record: PhaseRecord
) -> Iterator[str]:
    """The last word of a reviewer or an auditor, if the record has another one or none."""
    if record.phase == Phase.REVIEW and record.looks:
        last = _said(own, session, ReviewVerdict)[-1:]
        told = [_plain(one.verdict) for one in proof.reviews if one.session == session][-1:]
        # A clean verdict does not count when its reviewer did not look: it hides nothing.
        if last != told and any(one.verdict != "clean" for one in last):
            yield f"the last verdict of {session} is {last[0].verdict!r}, and the record omits it"
    if record.phase == Phase.AUDIT:
        report = _said(own, session, AuditReport)[-1:]
        if report != [one.report for one in proof.audits if one.session == session][-1:]:
            yield f"the audit report of {session} is not in the record"


def _other_criteria(proof: Proof, own: dict[str, SessionClosed]) -> Iterator[str]:
    """What had to be true, and what coders say of it: the matrix is made anew."""
    ended = [own[record.session] for record in proof.phases if record.session in own]
    ended = [one for one in ended if one.record.ending == SessionEnding.COMPLETED]
    shaped = [_of_phase(one, Phase.SHAPING, ShapingHandoff) for one in ended]
    found = [_of_phase(one, Phase.INVESTIGATION, Investigation) for one in ended]
    shaping = next((one for one in reversed(shaped) if one), None)
    criteria = shaping.acceptanceCriteria if shaping else criteria_of(proof.task)
    # Those of an investigation are WorkTrain's own words.
    if criteria != proof.criteria and (shaping or not any(found)):
        yield "the acceptance criteria in the record are not those that were stored"
    if proof.examination is None or proof.matrix is None:
        return
    phases = (Phase.CODING, Phase.REBASE, Phase.FIX)
    handoffs = [
        said
        for one in ended
        for phase in phases
        if (said := _of_phase(one, phase, CodingHandoff)) is not None
    ]
    anew = matrix_of(
        proof.criteria,
        handoffs,
        proof.examination,
        proof.verification,
        newest_review(proof.reviews, proof.merged.tree),
        proof.ledger or Ledger(),
        proof.decisions,
    )
    if anew.tree != proof.matrix.tree or len(anew.rows) != len(proof.matrix.rows):
        yield "the trace matrix in the record is about another tree, or other criteria"
    for row, other in zip(anew.rows, proof.matrix.rows, strict=False):
        if row != other:
            yield (
                f"made anew from what was stored, the trace matrix says something else of "
                f"{row.criterion.id} than the record"
            )


def _other_facts(proof: Proof, seen: Sequence[Seen]) -> Iterator[str]:
    """The checks and the examination: the newest that were stored about these two commits."""
    checked, examined = _read(seen, "verification", Verification), proof.examination
    yield from _other_fact(proof, "verification", proof.verification, checked)
    yield from _other_fact(proof, "examination", examined, _read(seen, "examination", Examination))


def _other_fact(
    proof: Proof, name: str, told: Fact | None, stored: Sequence[Fact | None]
) -> Iterator[str]:
    commits = (proof.merged, proof.base)
    about = [one for one in stored if one is None or (one.candidate, one.base) == commits]
    if not about:
        yield f"the store has no {name} of this commit on this base"
    elif about[-1] is None:
        yield f"the newest {name} in the store cannot be read"
    elif about[-1] != told:
        yield f"the {name} in the record is not the newest one in the store"


def _other_decisions(proof: Proof, seen: Sequence[Seen]) -> Iterator[str]:
    stored = _read(seen, "decision", Decision)
    for one in proof.decisions:
        if one not in stored:
            yield f"that {one.by} {one.answer} {one.gate!r} is in the record and not in the store"
    for other in stored:
        if other is None:
            yield "a decision in the store cannot be read"
        elif other.tree == proof.merged.tree and other not in proof.decisions:
            yield f"{other.by} {other.answer} {other.gate!r}, and the record leaves it out"


def _read(seen: Sequence[Seen], kind: str, model: type[Kind]) -> list[Kind | None]:
    """What was seen of a kind, oldest first; None for what cannot be read."""
    found: list[Kind | None] = []
    for one in (each for each in seen if each.kind == kind):
        try:
            found.append(model.model_validate_json(one.body))
        except ValidationError:
            found.append(None)
    return found


def _said(own: dict[str, SessionClosed], session: str, kind: type[Kind]) -> list[Kind]:
    """What a session delivered of a kind, verdicts without what WorkTrain writes into them."""
    artifacts = own[session].artifacts if session in own else ()
    return [_plain(one) for one in artifacts if isinstance(one, kind)]


def _plain(said: Kind) -> Kind:
    if isinstance(said, ReviewVerdict):
        return said.model_copy(update={"reviewer": None, "tree": None})
    return said


def _of_phase(closed: SessionClosed, phase: Phase, kind: type[Kind]) -> Kind | None:
    return newest(closed.artifacts, kind) if closed.record.phase == phase else None


def _parent(session: str) -> str:
    return session.rpartition("/")[0]
