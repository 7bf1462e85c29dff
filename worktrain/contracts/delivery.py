"""Handing the work over: commit, rebase, merge, note; each act at most once."""

from typing import Annotated, Literal

from pydantic import Field

from worktrain.contracts.base import Value
from worktrain.contracts.proof import Proof
from worktrain.contracts.workspace import Base, CommitRef, Worktree


class SnapshotRequest(Value):
    """A commit of a worktree's files as they are, for others to start from; no branch moves."""

    worktree: Worktree
    key: str


class CommitRequest(Value):
    """Commit whatever the session changed. `key` makes a second attempt find the first."""

    worktree: Worktree
    key: str
    subject: str
    body: str = ""
    trailers: tuple[tuple[str, str], ...] = ()


class Committed(Value):
    kind: Literal["committed"] = "committed"
    at: CommitRef
    files: tuple[str, ...]


class NothingChanged(Value):
    """The worktree holds exactly what it started from."""

    kind: Literal["nothing_changed"] = "nothing_changed"


CommitReply = Annotated[Committed | NothingChanged, Field(discriminator="kind")]


class RebaseRequest(Value):
    worktree: Worktree
    onto: CommitRef


class Rebased(Value):
    kind: Literal["rebased"] = "rebased"
    at: CommitRef


class Conflicted(Value):
    """The rebase was undone; the branch is as it was."""

    kind: Literal["conflicted"] = "conflicted"
    files: tuple[str, ...]


RebaseReply = Annotated[Rebased | Conflicted, Field(discriminator="kind")]


class MergeRequest(Value):
    pipeline: str
    repo: str
    base: Base
    """`base.at` is the head that the merge expects to find."""
    candidate: CommitRef


class Merged(Value):
    kind: Literal["merged"] = "merged"
    at: CommitRef
    """The candidate, read back: the base branch contains it now."""


class BaseMoved(Value):
    kind: Literal["base_moved"] = "base_moved"
    now: CommitRef


MergeReply = Annotated[Merged | BaseMoved, Field(discriminator="kind")]


class ProofRequest(Value):
    repo: str
    base: Base
    proof: Proof


class ProofReply(Value):
    digest: str
    """sha256 of the canonical JSON."""
    note: str
    """The ref that the note was written to, and where it was pushed."""


class CloseWorktreeRequest(Value):
    worktree: Worktree
    keep_branch: bool


class CloseWorktreeReply(Value):
    saved: str | None = None
    """Ref that holds what was not committed."""
