"""Forges: where finished work is handed over."""

from typing import Protocol

from worktrain.contracts.delivery import MergeReply, MergeRequest
from worktrain.contracts.workspace import Base


class Forge(Protocol):
    """Each act is looked for before it is done, so that a second attempt finds the first."""

    async def merge(self, request: MergeRequest) -> MergeReply:
        """Make the base branch contain the candidate, if it still names `base.at`; read it back.

        A base branch that already names the candidate is an earlier attempt that succeeded.
        Raises `AdapterError`: auth, unreachable, misconfigured (the base is checked out with
        uncommitted changes in the user's own checkout), conflict.
        """
        ...

    async def attach_note(self, repo: str, base: Base, commit: str, text: str) -> str:
        """Attach `text` as a git note (refs/notes/worktrain), replacing an earlier one of ours,
        and push it; answers where it is now."""
        ...

    async def read_note(self, repo: str, commit: str) -> str | None:
        """The note on a commit, byte for byte, or None."""
        ...
