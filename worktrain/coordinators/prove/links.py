"""What a proof has to show, link by link: checked by anybody, with nothing but the record."""

import json
from collections.abc import Callable, Iterator

from pydantic import ValidationError

from worktrain.contracts.base import Value
from worktrain.contracts.proof import (
    Decision,
    Proof,
)
from worktrain.contracts.workspace import CommitRef
from worktrain.coordinators import scope
from worktrain.coordinators.compare import judge
from worktrain.coordinators.ledger import open_entries
from worktrain.coordinators.matrix import GATE as CRITERIA
from worktrain.coordinators.matrix import holes
from worktrain.coordinators.prove import Note, Signature, canonical, newest_review, signed_text


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
    review = newest_review(proof.reviews, proof.merged.tree)
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
