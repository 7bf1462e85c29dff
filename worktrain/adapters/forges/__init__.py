"""Forges: where finished work is handed over."""

from typing import Protocol

from worktrain.contracts.delivery import Merged, MergeReply, MergeRequest
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

    async def merged(self, request: MergeRequest) -> Merged | None:
        """Whether the base branch contains the candidate by now; changes nothing. Raises
        `AdapterError`: auth, unreachable, misconfigured (no such branch)."""
        ...

    async def publish(self, repo: str, base: Base, branch: str, commit: str) -> str:
        """Make a branch of WorkTrain's own name the commit where work is merged to, for people to
        look at; never over what somebody else put there. Answers where it is, in words.

        Raises `AdapterError`: auth, unreachable, misconfigured (not our name, not allowed),
        conflict (it holds something else).
        """
        ...

    async def post_review(self, repo: str, base: Base, commit: str, text: str) -> str:
        """Show a review of a commit to whoever looks at it, in place of an earlier one of ours;
        answers where it is, in words."""
        ...

    async def attach_note(self, repo: str, base: Base, commit: str, text: str) -> str:
        """Attach `text` as a git note (refs/notes/worktrain), replacing an earlier one of ours,
        and push it; answers where it is now."""
        ...

    async def read_note(self, repo: str, commit: str) -> str | None:
        """The note on a commit, byte for byte, or None."""
        ...
