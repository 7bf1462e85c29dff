"""Sealing a proof: only what the store says is signed, and twice is the same."""

from temporalio.testing import ActivityEnvironment

from tests.coordinators import test_prove as proofs
from worktrain.access import genuine
from worktrain.activities.sealing import DIFFERENCES_MAX, SealingActivities
from worktrain.adapters.signing.in_memory import InMemorySigner
from worktrain.adapters.stores.in_memory import InMemoryStore
from worktrain.contracts.base import digest
from worktrain.contracts.delivery import SealRequest
from worktrain.contracts.proof import Decision, Proof, SealedProof
from worktrain.contracts.record import Decided, Seen
from worktrain.coordinators.prove.links import broken_links


class Office:
    """A store that holds all that a pipeline of edition 2 has found out."""

    def __init__(self) -> None:
        self.store = InMemoryStore()
        self.activities = SealingActivities(self.store, InMemorySigner())

    async def fill(self, proof: Proof) -> None:
        for at_s, closed in enumerate(proofs.STORED):
            await self.store.close_session(closed, float(at_s))
        for one in proofs.seen(proof):
            if one.kind != "decision":
                await self.store.see(proof.pipeline, one)
        for number, decision in enumerate(proof.decisions):
            await self.record(proof.pipeline, f"d{number}", decision)

    async def record(self, pipeline: str, key: str, decision: Decision) -> None:
        request = Decided(pipeline=pipeline, key=key, decision=decision)
        await ActivityEnvironment().run(self.activities.record_decision, request)

    async def seal(self, proof: Proof) -> SealedProof:
        # As it comes out of a history.
        again = Proof.model_validate_json(proof.model_dump_json())
        found: SealedProof = await ActivityEnvironment().run(
            self.activities.seal_proof, SealRequest(proof=again)
        )
        return found


async def test_a_proof_that_is_what_was_stored_is_signed_and_stored() -> None:
    office, proof = Office(), proofs.second()
    await office.fill(proof)
    sealed = await office.seal(proof)
    text = await office.store.proof(proof.merged.commit)
    assert text is not None
    assert sealed == SealedProof(digest=digest(text))
    assert broken_links(text, proof.merged, text, None, genuine) == ()


async def test_a_second_attempt_finds_the_same_text() -> None:
    office, proof = Office(), proofs.second()
    await office.fill(proof)
    first = await office.seal(proof)
    text = await office.store.proof(proof.merged.commit)
    assert await office.seal(proof) == first
    assert await office.store.proof(proof.merged.commit) == text


async def test_a_later_proof_of_the_same_commit_takes_the_place_of_the_first() -> None:
    office, proof = Office(), proofs.second()
    await office.fill(proof)
    first = await office.seal(proof)
    decided = proofs.approved("scope", "app/b.py")
    await office.record(proof.pipeline, "d9", decided)
    later = proof.model_copy(update={"decisions": (*proof.decisions, decided)})
    sealed = await office.seal(later)
    text = await office.store.proof(proof.merged.commit)
    assert sealed.digest != first.digest
    assert text is not None
    assert sealed.digest == digest(text)


async def test_a_proof_that_is_not_what_was_stored_is_told_and_not_stored() -> None:
    office, proof = Office(), proofs.second()
    await office.fill(proof)
    forged = proof.model_copy(update={"decisions": (proofs.approved("merge", by="eve"),)})
    sealed = await office.seal(forged)
    assert sealed.digest == ""
    assert sealed.broken == (
        "that eve approved 'merge' is in the record and not in the store",
        "ada approved 'merge', and the record leaves it out",
    )
    assert await office.store.proof(proof.merged.commit) is None


async def test_very_many_differences_are_told_with_the_rest_counted() -> None:
    office, proof = Office(), proofs.second()
    many = tuple(proofs.approved(f"gate-{number}") for number in range(30))
    sealed = await office.seal(proof.model_copy(update={"decisions": many}))
    assert len(sealed.broken) == DIFFERENCES_MAX + 1
    assert sealed.broken[-1].endswith("more differences")


async def test_a_decision_that_is_recorded_twice_stands_once_and_word_for_word() -> None:
    office, decided = Office(), proofs.approved("criteria", "AC1", reason="Grüße\n\0")
    for _ in range(2):
        await office.record("task/w/t", "d1", decided)
    body = decided.model_dump_json()
    assert await office.store.seen("task/w/t") == (Seen(key="d1", kind="decision", body=body),)
    assert Decision.model_validate_json(body) == decided
