"""Sealing: a proof is held against what was stored on the way, then signed and stored."""

from worktrain.activities.door import implements
from worktrain.adapters.signing import Signer
from worktrain.adapters.stores import Store
from worktrain.contracts.base import digest
from worktrain.contracts.calls import RECORD_DECISION, SEAL_PROOF, Nothing
from worktrain.contracts.delivery import SealRequest
from worktrain.contracts.proof import SealedProof
from worktrain.contracts.record import Decided, Seen
from worktrain.coordinators.prove import Signature, canonical, signed_text
from worktrain.coordinators.prove.differences import differences

DIFFERENCES_MAX = 20
"""Told at a time: they stand in a history, and are read by a person."""


class SealingActivities:
    def __init__(self, store: Store, signer: Signer) -> None:
        self._store = store
        self._signer = signer

    @implements(SEAL_PROOF)
    async def seal_proof(self, request: SealRequest) -> SealedProof:
        """Nothing is stored of a proof that is not what the store says. A second attempt finds
        the same signature, and so the same text."""
        proof = request.proof
        sessions = await self._store.sessions(proof.pipeline)
        seen = await self._store.seen(proof.pipeline)
        broken = differences(proof, sessions, seen)
        if broken:
            more = len(broken) - DIFFERENCES_MAX
            told = (f"and {more} more differences",) if more > 0 else ()
            return SealedProof(broken=(*broken[:DIFFERENCES_MAX], *told))
        signed = await self._signer.sign(signed_text(proof))
        text = canonical(proof, Signature(key=signed.key, value=signed.value))
        await self._store.put_proof(proof.merged.commit, proof.pipeline, text)
        return SealedProof(digest=digest(text))

    @implements(RECORD_DECISION)
    async def record_decision(self, request: Decided) -> Nothing:
        """What a person decided, where the proof is built from again."""
        body = request.decision.model_dump_json()
        seen = Seen(key=request.key, kind="decision", body=body)
        await self._store.see(request.pipeline, seen)
        return Nothing()
