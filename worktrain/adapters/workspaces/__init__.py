"""Workspaces: repositories and the isolated checkouts made of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from worktrain.contracts.delivery import (
    CloseWorktreeReply,
    CloseWorktreeRequest,
    CommitReply,
    CommitRequest,
    Foreign,
    RebaseReply,
    RebaseRequest,
    RevertRequest,
    SnapshotRequest,
)
from worktrain.contracts.examination import Changes
from worktrain.contracts.workspace import Base, CommitRef, Worktree, WorktreeRequest


class Workspaces(Protocol):
    """Every act may be attempted twice; the second attempt finds what the first one did.

    All raise `AdapterError`: misconfigured (not a repository, no commits, no such branch),
    missing_program (no git), disk_full, unreachable (the remote), conflict (not ours to touch).
    """

    async def base(self, repo: str, branch: str | None) -> Base:
        """Where work on this repository starts, freshly fetched when it has a remote."""
        ...

    async def changed(self, repo: str) -> tuple[str, ...]:
        """Paths with uncommitted changes in the user's own checkout; empty for a bare one."""
        ...

    async def read(self, repo: str, commit: str, path: str) -> str | None:
        """A text file as of a commit, or None when it is not there."""
        ...

    async def files(self, repo: str, commit: str, folders: Sequence[str] = ()) -> dict[str, int]:
        """The regular files as of a commit, below any of the folders or, without one, all; their
        sizes in bytes by path, in the order of the paths. No links, no submodules."""
        ...

    async def texts(self, repo: str, commit: str, paths: Sequence[str]) -> dict[str, str]:
        """Those of the paths that are regular files of at most 1 MB as of a commit, as texts."""
        ...

    async def open(self, request: WorktreeRequest, root: Path, queue: str) -> Worktree:
        """Make the session's checkout at `root`, or find the one it already has. One in which
        nothing was changed is brought to where somebody else has moved its branch."""
        ...

    async def diff(self, repo: str, base: str, candidate: str) -> str:
        """What `candidate` changes against `base`: 8,000 characters a file, 100,000 in all,
        every file that was shortened or left out named."""
        ...

    async def changes(self, repo: str, base: str, candidate: str) -> Changes:
        """What `candidate` changes against the commit where it left `base`, as facts. What the
        bounds of `Changes` leave out is named in it."""
        ...

    async def commit(self, request: CommitRequest) -> CommitReply:
        """Commit everything in the worktree onto its branch, with the user's own identity. With
        `request.known`, nothing is committed where the branch has commits of others beyond it,
        or has lost it; when `known` is a commit of others, the work is put on top of it."""
        ...

    async def snapshot(self, request: SnapshotRequest) -> CommitRef:
        """A commit of what `commit` would take now, on the commit that the work stands on; that
        one itself when nothing was changed. No branch and no file moves. It is kept until the
        worktree is closed, and the same key finds it again, whatever was changed since."""
        ...

    async def rebase(self, request: RebaseRequest) -> RebaseReply:
        """Rebase the worktree's branch; on a conflict undo it and name the files. Then
        `request.branch` is created at the result, or moved forward to it, never back: raises
        misconfigured when it is not one of WorkTrain's own or is checked out somewhere, conflict
        when the result does not build on it."""
        ...

    async def foreign(self, repo: str, branch: str, known: str | None) -> Foreign | None:
        """What somebody else did to a work branch that WorkTrain left at `known`, here or on the
        remote if the branch was pushed there: commits beyond it, or in its place. None asks
        nothing."""
        ...

    async def revert(self, request: RevertRequest) -> CommitRef:
        """A commit on the new branch `request.branch`, on top of `base.at`, that undoes everything
        from `before` to `merged`. Raises conflict where later work is in the way, where it is
        undone already, or where the branch holds something else."""
        ...

    async def checkout(self, repo: str, commit: str, root: Path) -> None:
        """A clean checkout of exactly this commit at `root`, replacing what was there."""
        ...

    async def discard(self, repo: str, root: Path) -> None:
        """Remove a checkout made by `checkout`; nothing in it is kept."""
        ...

    async def close(self, request: CloseWorktreeRequest) -> CloseWorktreeReply:
        """Remove a session's worktree, and its branch unless it is kept. What was not committed
        is saved to `refs/worktrain/saved/...` first. Only a worktree that carries our mark is
        removed. Its snapshots are kept no longer."""
        ...

    async def tree(self, repo: str, commit: str) -> CommitRef:
        """The commit and its tree, read from the repository."""
        ...
