"""The proof record: built from what happened, written canonically, checked by anybody."""

import json

from pydantic import ValidationError

from worktrain.contracts.artifact import ShapingHandoff
from worktrain.contracts.base import Value, digest
from worktrain.contracts.pipeline import PipelineState
from worktrain.contracts.proof import Proof
from worktrain.contracts.workspace import CommitRef
from worktrain.coordinators.context import newest
from worktrain.coordinators.merge_policy import judge


def proof_of(state: PipelineState) -> Proof:
    """Everything the merge of the candidate has to show. The candidate must be verified."""
    if state.candidate is None or state.verification is None:
        raise ValueError("a proof needs a candidate and its verification")
    shaping = newest(state.artifacts, ShapingHandoff)
    return Proof(
        pipeline=state.request.pipeline,
        task=state.request.task,
        base=state.base.at,
        merged=state.candidate,
        base_branch=state.base.branch,
        criteria=shaping.acceptanceCriteria if isinstance(shaping, ShapingHandoff) else (),
        phases=state.records,
        reviews=state.reviews,
        verification=state.verification,
        decisions=state.decisions,
        usage=state.usage,
        cost_microdollars=state.cost_microdollars,
        notices=judge(state.verification).notices,
    )


def canonical(proof: Proof) -> str:
    """The one text of a proof: the record with the sha256 of everything else at its end.

    Keys sorted, one space of indentation, a newline at the end, so that it reads well in
    `git notes show` and differs in no byte between two writers.
    """
    record = proof.model_dump(mode="json")
    return _text({"proof": record, "sha256": digest(_text(record))})


def _text(record: object) -> str:
    return json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


class Link(Value):
    """One thing that a proof has to show, and what is wrong with it, if anything."""

    holds: str
    broken: tuple[str, ...] = ()


def links(note: str, merged: CommitRef, stored: str | None) -> tuple[Link, ...]:
    """Every link of the proof on a commit.

    `merged` is what the repository says of the commit, `stored` the store's copy if there is
    one on this machine.
    """
    readable = "the note is the record that its checksum was made of"
    try:
        record = json.loads(note)
        proof = Proof.model_validate(record["proof"])
        text = canonical(proof)
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError):
        return (Link(holds=readable, broken=("the note is not a WorkTrain proof record",)),)
    altered = "the note was altered: it is not what its own checksum was made of"
    elsewhere = (
        f"the note speaks of commit {proof.merged.commit[:12]} (tree "
        f"{proof.merged.tree[:12]}), this is {merged.commit[:12]} (tree {merged.tree[:12]})"
    )
    found = (
        Link(holds=readable, broken=() if text == note else (altered,)),
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
    )
    if stored is None:
        return found
    differs = "the note differs from the record in this machine's store"
    same = "this machine's store has the same record"
    return (*found, Link(holds=same, broken=() if stored == note else (differs,)))


def broken_links(note: str, merged: CommitRef, stored: str | None) -> tuple[str, ...]:
    """What is wrong with the proof on a commit; empty means that it holds."""
    return tuple(said for link in links(note, merged, stored) for said in link.broken)


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
    tree = proof.merged.tree
    review = next((r for r in reversed(proof.reviews) if r.at.tree == tree), None)
    accepted = {d.gate for d in proof.decisions if d.answer == "approved" and d.tree == tree}
    broken: list[str] = []
    if review is None:
        broken.append("no verdict in the record is about the merged tree")
    elif review.verdict.verdict != "clean" and "findings" not in accepted:
        broken.append(
            f"the verdict on the merged tree is {review.verdict.verdict!r}, and nobody accepted "
            f"its findings"
        )
    if not proof.verification.checks and "merge" not in accepted:
        broken.append("no check ran on the merged tree, and nobody approved its merge")
    return broken
