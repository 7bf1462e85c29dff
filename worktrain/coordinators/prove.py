"""The proof record: built from what happened, written canonically, checked by anybody."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, TypeVar

from pydantic import BaseModel, Field, ValidationError

from worktrain.contracts.artifact import (
    AuditReport,
    CodingHandoff,
    Investigation,
    ReviewVerdict,
    ShapingHandoff,
)
from worktrain.contracts.base import Value, absent, digest
from worktrain.contracts.examination import Examination
from worktrain.contracts.ledger import Ledger
from worktrain.contracts.pipeline import PipelineState
from worktrain.contracts.proof import (
    Decision,
    Matrix,
    PhaseRecord,
    Proof,
    Review,
    Verification,
)
from worktrain.contracts.record import Seen
from worktrain.contracts.route import Phase
from worktrain.contracts.session import SessionClosed, SessionEnding
from worktrain.contracts.workspace import CommitRef
from worktrain.coordinators import candidate, scope
from worktrain.coordinators.artifacts import newest
from worktrain.coordinators.compare import judge
from worktrain.coordinators.ledger import open_entries
from worktrain.coordinators.matrix import GATE as CRITERIA
from worktrain.coordinators.matrix import criteria_of, holes, matrix_of, notices

# Said, not asked for: a text that does not fit is an altered record, not an unreadable one.
Base64 = Annotated[str, Field(json_schema_extra={"pattern": r"^[A-Za-z0-9+/]+={0,2}$"})]
Sha256 = Annotated[str, Field(json_schema_extra={"pattern": r"^[0-9a-f]{64}$"})]
Kind = TypeVar("Kind", bound=BaseModel)
Fact = TypeVar("Fact", Verification, Examination)


class Signature(Value):
    """By whose key the record was sealed: ed25519 over the text of its sha256."""

    key: Base64
    """The raw public key."""
    value: Base64


class Note(Value):
    """What the git note on a merged commit holds."""

    proof: Proof
    sha256: Sha256
    """Of the canonical JSON of `proof` alone."""
    signature: Signature | None = Field(default=None, exclude_if=absent)


def proof_of(
    state: PipelineState, matrix: Matrix | None = None, demanded: tuple[str, ...] = ()
) -> Proof:
    """Everything the merge of the candidate has to show. The candidate must be verified.

    `matrix` is built from the state if it is not given; `demanded` says why a person had to agree.
    """
    if state.candidate is None or state.verification is None:
        raise ValueError("a proof needs a candidate and its verification")
    shaping = newest(state.artifacts, ShapingHandoff)
    proof = Proof(
        pipeline=state.request.pipeline,
        task=state.request.task,
        base=state.base.at,
        merged=state.candidate,
        base_branch=state.base.branch,
        criteria=shaping.acceptanceCriteria if shaping else (),
        phases=state.records,
        reviews=state.reviews,
        verification=state.verification,
        decisions=state.decisions,
        usage=state.usage,
        cost_microdollars=state.cost_microdollars,
        notices=judge(state.verification).notices,
    )
    if state.request.edition == 1:
        return proof
    matrix = matrix or candidate.matrix(state)
    return proof.model_copy(
        update={
            "format": "worktrain-proof-2",
            "criteria": candidate.criteria(state),
            "notices": (*proof.notices, *_notices(state, matrix)),
            "interpretation": candidate.interpretation(state),
            "fingerprint": state.request.task.fingerprint,
            "classified": state.classified,
            "route": state.route,
            "examination": candidate.examination_of(state),
            "matrix": matrix,
            "ledger": state.ledger,
            "audits": state.audits,
            "escalation": state.escalation,
            "demanded": demanded,
        }
    )


def _notices(state: PipelineState, matrix: Matrix | None) -> tuple[str, ...]:
    examination = candidate.examination_of(state)
    edited = ("the task was edited after it had been accepted; this is the text that was accepted",)
    return (
        *(notices(matrix) if matrix else ()),
        *(f"not looked at: {one}" for one in (examination.unread if examination else ())),
        *(edited if state.edits else ()),
    )


# --- the text ----------------------------------------------------------------------------------


def canonical(proof: Proof, signature: Signature | None = None) -> str:
    """The one text of a proof: the record with the sha256 of everything else at its end, and the
    signature of that, if it is signed.

    Keys sorted, one space of indentation, a newline at the end, so that it reads well in
    `git notes show` and differs in no byte between two writers.
    """
    note: dict[str, object] = {"proof": proof.model_dump(mode="json"), "sha256": signed_text(proof)}
    if signature is not None:
        note["signature"] = signature.model_dump(mode="json")
    return _text(note)


def signed_text(proof: Proof) -> str:
    """The text that is signed: the sha256 of the record, in hex."""
    return digest(_text(proof.model_dump(mode="json")))


def _text(record: object) -> str:
    return json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


# --- checked by anybody ------------------------------------------------------------------------


class Link(Value):
    """One thing that a proof has to show, and what is wrong with it, if anything."""

    holds: str
    broken: tuple[str, ...] = ()


Genuine = Callable[[Signature, str], bool]
"""Whether a signature is by its own key over a text. It takes a library that does arithmetic on
curves, so whoever asks brings it."""


def links(
    note: str,
    merged: CommitRef,
    stored: str | None,
    key: str | None = None,
    genuine: Genuine | None = None,
) -> tuple[Link, ...]:
    """Every link of the proof on a commit.

    `merged` is what the repository says of the commit, `stored` the store's copy if there is
    one on this machine, `key` the public key that is expected, in base64. A signature that
    nobody here can check counts as broken.
    """
    readable = "the note is the record that its checksum was made of"
    try:
        read = Note.model_validate(json.loads(note))
        proof = read.proof
        text = canonical(proof, read.signature)
    except (ValueError, RecursionError, ValidationError):
        return (Link(holds=readable, broken=("the note is not a WorkTrain proof record",)),)
    altered = "the note was altered: it is not what its own checksum was made of"
    elsewhere = (
        f"the note speaks of commit {proof.merged.commit[:12]} (tree "
        f"{proof.merged.tree[:12]}), this is {merged.commit[:12]} (tree {merged.tree[:12]})"
    )
    found = [
        Link(holds=readable, broken=() if text == note else (altered,)),
        _signed(read, key, genuine),
        Link(
            holds="it speaks of this commit and this tree",
            broken=() if proof.merged == merged else (elsewhere,),
        ),
        Link(
            holds="a reviewer, or a person, let the merged tree pass",
            broken=tuple(_unjudged(proof)),
        ),
        Link(
            holds="the checks ran on this commit and its base, and let it pass",
            broken=tuple(_unchecked(proof)),
        ),
    ]
    if proof.format != "worktrain-proof-1":
        found += _links_of_2(proof)
    if stored is not None:
        differs = "the note differs from the record in this machine's store"
        same = "this machine's store has the same record"
        found.append(Link(holds=same, broken=() if stored == note else (differs,)))
    return tuple(found)


def broken_links(
    note: str,
    merged: CommitRef,
    stored: str | None,
    key: str | None = None,
    genuine: Genuine | None = None,
) -> tuple[str, ...]:
    """What is wrong with the proof on a commit; empty means that it holds."""
    found = links(note, merged, stored, key, genuine)
    return tuple(said for link in found for said in link.broken)


def _signed(note: Note, key: str | None, genuine: Genuine | None) -> Link:
    signature = note.signature
    if signature is None and note.proof.format == "worktrain-proof-1":
        return Link(holds="it is not signed, as no record of its format is")
    holds = "it is signed by the key that was expected" if key else "it is signed"
    if signature is None:
        return Link(holds=holds, broken=("the record is not signed, as one of its format must be",))
    if genuine is None:
        return Link(holds=holds, broken=("the signature was not checked: nothing here can do it",))
    if not genuine(signature, signed_text(note.proof)):
        said = "the signature does not fit: whoever made this record does not have the key"
        return Link(holds=holds, broken=(said,))
    if key is not None and signature.key != key:
        said = (
            f"it is signed by the key {signature.key}, and {key} was expected; if another machine "
            f"of yours merged it, check it with that one's public key (--key)"
        )
        return Link(holds=holds, broken=(said,))
    unknown = "" if key else "; whose key to expect was not said (--key)"
    return Link(holds=f"{holds}, {signature.key}{unknown}")


def _unchecked(proof: Proof) -> list[str]:
    """What the checks would have had to run on, and say, and did not."""
    verification = proof.verification
    broken: list[str] = []
    if verification.candidate != proof.merged or verification.base != proof.base:
        broken.append("the checks in the record ran on another commit")
    broken += judge(verification).reasons
    broken += [
        f"check {pair.name!r} ran on another commit"
        for pair in verification.checks
        if pair.candidate.at != proof.merged or pair.base.at != proof.base
    ]
    return broken


def _unjudged(proof: Proof) -> list[str]:
    """What reviewers and people would have had to say of the merged tree, and did not."""
    review = _newest_of(proof.reviews, proof.merged.tree)
    broken: list[str] = []
    if review is None:
        broken.append("no verdict in the record is about the merged tree")
    elif review.verdict.verdict != "clean" and not _approval(proof, "findings"):
        broken.append(
            f"the verdict on the merged tree is {review.verdict.verdict!r}, and nobody accepted "
            f"its findings"
        )
    if not proof.verification.checks and not _approval(proof, "merge"):
        broken.append("no check ran on the merged tree, and nobody approved its merge")
    return broken


# --- what a record of format 2 shows beyond ----------------------------------------------------


def _links_of_2(proof: Proof) -> Iterator[Link]:
    waived = [
        f"{row.criterion.id} was waived by {row.waived}"
        for row in (proof.matrix.rows if proof.matrix else ())
        if row.holes and row.waived
    ]
    approval = _approval(proof, "merge")
    yield Link(
        holds="WorkTrain looked at what exactly this commit changes",
        broken=tuple(_unexamined(proof)),
    )
    yield Link(
        holds="; ".join(("every acceptance criterion is covered or waived", *waived)),
        broken=tuple(_uncovered(proof)),
    )
    yield Link(
        holds="the audits that were demanded looked at this tree, and let it pass",
        broken=tuple(_unaudited(proof)),
    )
    yield Link(
        holds=f"{approval.by} approved the merge of this tree"
        if approval
        else "nothing asked for a person's approval of the merge",
        broken=tuple(_unapproved(proof)),
    )
    yield Link(
        holds="no finding is open that nobody accepted",
        broken=tuple(_unsettled(proof)),
    )
    yield Link(
        holds="no work is put off and no rule is broken that nobody accepted",
        broken=tuple(_unaccepted(proof)),
    )


def _unexamined(proof: Proof) -> Iterator[str]:
    found = proof.examination
    if found is None:
        yield "no examination of the change is in the record"
    elif found.candidate != proof.merged or found.base != proof.base:
        yield "the examination in the record is of another commit"


def _uncovered(proof: Proof) -> Iterator[str]:
    matrix = proof.matrix
    if matrix is None:
        yield "no trace matrix is in the record"
        return
    if matrix.tree != proof.merged.tree:
        yield "the trace matrix in the record is about another tree"
    if tuple(row.criterion for row in matrix.rows) != proof.criteria:
        yield "the trace matrix in the record has other criteria than the task"
    yield from holes(matrix)
    for row in matrix.rows:
        named = row.criterion.id
        if row.waived:
            waiver = _approval(proof, CRITERIA, named)
            if waiver is None:
                yield f"{named} is said to be waived, and no decision about this tree says so"
            elif not waiver.reason.strip():
                yield f"{named} was waived by {waiver.by} without a reason"
        elif not row.holes and (not row.code or row.judged != "yes"):
            yield f"{named} is said to be covered, and no code or no reviewer of it is named"


def _unaudited(proof: Proof) -> Iterator[str]:
    """Audits that are missing for the merged tree, or that say that it is not ready."""
    tree = proof.merged.tree
    spec_of = {record.session: record.spec for record in proof.phases}
    reports = {spec_of.get(one.session): one.report for one in proof.audits if one.at.tree == tree}
    for demand in proof.route.demands if proof.route else ():
        if demand.gate == "audit" and demand.detail not in reports:
            yield f"the audit {demand.detail!r} was demanded, and none of this tree is there"
    if not _approval(proof, "audit"):
        for spec, report in reports.items():
            if report.verdict == "not_ready":
                yield f"the audit {spec!r} says that this tree is not ready, and nobody accepted it"


def _unapproved(proof: Proof) -> Iterator[str]:
    wanted = list(proof.demanded)
    if proof.escalation is not None:
        wanted.append(f"it went through escalation: {proof.escalation.why}")
    route = proof.route
    wanted += [one.why for one in (route.demands if route else ()) if one.gate == "human"]
    if wanted and not _approval(proof, "merge"):
        why = "; ".join(dict.fromkeys(wanted))
        yield f"nobody approved the merge of this tree, which a person had to: {why}"


def _unsettled(proof: Proof) -> Iterator[str]:
    if proof.ledger is None:
        yield "no finding ledger is in the record"
    elif not _approval(proof, "findings"):
        for entry in open_entries(proof.ledger):
            said = f"{entry.finding.severity}, {entry.finding.summary}"
            yield f"{entry.id} is open and nobody accepted it: {said}"


def _unaccepted(proof: Proof) -> Iterator[str]:
    if proof.examination is None:
        return
    for said in scope.put_off(proof.examination):
        if not _approval(proof, "put-off", said):
            yield f"put off, and nobody accepted it: {said}"
    if not _approval(proof, "rules"):
        for one in proof.examination.breaks:
            yield f"{one.path}:{one.line} breaks the rule {one.rule!r}, and nobody accepted it"


def _approval(proof: Proof, gate: str, about: str = "") -> Decision | None:
    """The newest approval of a gate by a person who was shown the merged tree, and `about`."""
    return next(
        (
            one
            for one in reversed(proof.decisions)
            if one.gate == gate
            and one.answer == "approved"
            and one.by.strip()
            and one.tree == proof.merged.tree
            and (not about or about in one.about)
        ),
        None,
    )


def _newest_of(reviews: Sequence[Review], tree: str) -> Review | None:
    return next((one for one in reversed(reviews) if one.at.tree == tree), None)


# --- built again from what was stored ----------------------------------------------------------


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
        _newest_of(proof.reviews, proof.merged.tree),
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
