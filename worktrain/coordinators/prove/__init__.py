"""The proof record: built from what happened, and written in one canonical way."""

import json
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from worktrain.contracts.artifact import ShapingHandoff
from worktrain.contracts.base import Value, absent, digest
from worktrain.contracts.pipeline import PipelineState
from worktrain.contracts.proof import Matrix, Proof, Review
from worktrain.coordinators import candidate
from worktrain.coordinators.artifacts import newest
from worktrain.coordinators.compare import judge
from worktrain.coordinators.matrix import notices

# Said, not asked for: a text that does not fit is an altered record, not an unreadable one.
Base64 = Annotated[str, Field(json_schema_extra={"pattern": r"^[A-Za-z0-9+/]+={0,2}$"})]
Sha256 = Annotated[str, Field(json_schema_extra={"pattern": r"^[0-9a-f]{64}$"})]


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


def newest_review(reviews: Sequence[Review], tree: str) -> Review | None:
    """The newest verdict on exactly this tree."""
    return next((one for one in reversed(reviews) if one.at.tree == tree), None)
