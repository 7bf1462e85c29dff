"""Handing work over: commit, check, rebase, merge, prove. Each act is safe to attempt twice."""

import time
from collections.abc import Callable
from pathlib import Path

from pydantic import TypeAdapter

from worktrain.activities import evidence
from worktrain.activities.door import implements
from worktrain.activities.effects import once
from worktrain.activities.sandbox import Sandboxes
from worktrain.adapters.forges import Forge
from worktrain.adapters.stores import Store
from worktrain.adapters.workspaces import Workspaces
from worktrain.contracts.base import Value, digest
from worktrain.contracts.calls import (
    ATTACH_PROOF,
    COMMIT_WORK,
    MERGE,
    OPEN_REVERT,
    POST_REVIEW,
    REBASE,
    SUSPEND,
    VERIFY,
    Nothing,
)
from worktrain.contracts.delivery import (
    CommitReply,
    CommitRequest,
    Merged,
    MergeReply,
    MergeRequest,
    Posted,
    ProofReply,
    ProofRequest,
    RebaseReply,
    RebaseRequest,
    Reverted,
    RevertRequest,
    ReviewPost,
    Suspension,
)
from worktrain.contracts.proof import Verification, VerifyRequest
from worktrain.coordinators.prove import canonical

MERGE_REPLY: TypeAdapter[MergeReply] = TypeAdapter(MergeReply)
PROOF_REPLY = TypeAdapter(ProofReply)
REVERTED = TypeAdapter(Reverted)
POSTED = TypeAdapter(Posted)


class ProofNote(Value):
    """What the ledger keeps of the intent to attach a proof: its text is in the store."""

    pipeline: str
    commit: str
    text: str
    """sha256 of it."""


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
        return await evidence.verify(
            request, self._workspaces, shell, self._scratch, progress, self._store
        )

    @implements(MERGE)
    async def merge(self, request: MergeRequest) -> MergeReply:
        """That the base has moved is no act: the next attempt asks the forge again."""
        candidate = request.candidate.commit
        return await once(
            self._store,
            f"merge/{request.pipeline}/{candidate}/{request.base.at.commit}",
            request,
            MERGE_REPLY,
            act=lambda: self._forge.merge(request),
            look=lambda: self._forge.merged(request),
            stands=lambda reply: isinstance(reply, Merged),
        )

    @implements(ATTACH_PROOF)
    async def attach_proof(self, request: ProofRequest) -> ProofReply:
        """The text that was sealed and stored before the merge, or the bare proof."""
        proof, commit = request.proof, request.proof.merged.commit
        text = await self._store.proof(commit)
        if text is None:
            text = canonical(proof)
            await self._store.put_proof(commit, proof.pipeline, text)
        sent = text

        async def attach() -> ProofReply:
            note = await self._forge.attach_note(request.repo, request.base, commit, sent)
            return ProofReply(digest=digest(sent), note=note)

        intent = ProofNote(pipeline=proof.pipeline, commit=commit, text=digest(text))
        key = f"note/{proof.pipeline}/{commit}/{intent.text[:16]}"
        # Written twice, the note is the same note.
        return await once(self._store, key, intent, PROOF_REPLY, attach, look=None)

    @implements(OPEN_REVERT)
    async def open_revert(self, request: RevertRequest) -> Reverted:
        """Make the revert, and put it where a person can take it up."""

        async def opened() -> Reverted:
            at = await self._workspaces.revert(request)
            where = await self._forge.publish(request.repo, request.base, request.branch, at.commit)
            return Reverted(branch=request.branch, at=at, where=where)

        key = f"revert/{request.pipeline}/{request.merged.commit}"
        # Commit and branch are found again by what they undo.
        return await once(self._store, key, request, REVERTED, opened, look=None)

    @implements(SUSPEND)
    async def suspend(self, request: Suspension) -> Nothing:
        since_s = request.since_s or time.time()
        await self._store.suspend(request.model_copy(update={"since_s": since_s}))
        return Nothing()

    @implements(POST_REVIEW)
    async def post_review(self, request: ReviewPost) -> Posted:
        async def posted() -> Posted:
            where = await self._forge.post_review(
                request.repo, request.base, request.at.commit, request.text
            )
            return Posted(where=where)

        key = f"review/{request.pipeline}/{request.at.commit}/{digest(request.text)[:16]}"
        # It takes the place of an earlier one: posted twice, there is one.
        return await once(self._store, key, request, POSTED, posted, look=None)
