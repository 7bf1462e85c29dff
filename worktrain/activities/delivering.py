"""Handing work over: commit, check, rebase, merge, prove. Each act is safe to attempt twice."""

from collections.abc import Callable
from pathlib import Path

from worktrain.activities import evidence
from worktrain.activities.door import implements
from worktrain.activities.sandbox import Sandboxes
from worktrain.adapters.forges import Forge
from worktrain.adapters.stores import Store
from worktrain.adapters.workspaces import Workspaces
from worktrain.contracts.base import digest
from worktrain.contracts.calls import ATTACH_PROOF, COMMIT_WORK, MERGE, REBASE, VERIFY
from worktrain.contracts.delivery import (
    CommitReply,
    CommitRequest,
    MergeReply,
    MergeRequest,
    ProofReply,
    ProofRequest,
    RebaseReply,
    RebaseRequest,
)
from worktrain.contracts.proof import Verification, VerifyRequest
from worktrain.coordinators.prove import canonical


class DeliveringActivities:
    def __init__(
        self,
        store: Store,
        workspaces: Workspaces,
        forge: Forge,
        sandboxes: Sandboxes,
        scratch: Path,
    ) -> None:
        self._store = store
        self._workspaces = workspaces
        self._forge = forge
        self._sandboxes = sandboxes
        self._scratch = scratch

    @implements(COMMIT_WORK)
    async def commit_work(self, request: CommitRequest) -> CommitReply:
        return await self._workspaces.commit(request)

    @implements(REBASE)
    async def rebase(self, request: RebaseRequest) -> RebaseReply:
        return await self._workspaces.rebase(request)

    @implements(VERIFY)
    async def verify(self, request: VerifyRequest, progress: Callable[[str], None]) -> Verification:
        """Run the workspace's own checks in clean checkouts of base and candidate."""
        shell = await self._sandboxes.shell(request.sandbox)
        return await evidence.verify(request, self._workspaces, shell, self._scratch, progress)

    @implements(MERGE)
    async def merge(self, request: MergeRequest) -> MergeReply:
        """Intent, look, do, receipt: the forge looks before it acts and reads back afterwards."""
        candidate = request.candidate.commit
        key = f"merge/{request.pipeline}/{candidate}/{request.base.at.commit}"
        await self._store.intend(key, request.model_dump_json())
        reply = await self._forge.merge(request)
        await self._store.receive(key, reply.model_dump_json())
        return reply

    @implements(ATTACH_PROOF)
    async def attach_proof(self, request: ProofRequest) -> ProofReply:
        text = canonical(request.proof)
        commit = request.proof.merged.commit
        await self._store.put_proof(commit, request.proof.pipeline, text)
        note = await self._forge.attach_note(request.repo, request.base, commit, text)
        return ProofReply(digest=digest(text), note=note)
