"""Handing the work over: commit, rebase, merge, note; each act at most once."""

from typing import Annotated, Literal

from pydantic import Field

from worktrain.contracts.base import Value, absent
from worktrain.contracts.proof import Proof
from worktrain.contracts.task import Task
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
    known: str | None = Field(default=None, exclude_if=absent)
    """The commit that WorkTrain left the branch at. Where it has gone on from there by other
    hands nothing is committed. None asks nothing."""


class Committed(Value):
    kind: Literal["committed"] = "committed"
    at: CommitRef
    files: tuple[str, ...]


class Foreign(Value):
    """The branch holds commits that WorkTrain did not make: somebody works on it."""

    kind: Literal["foreign"] = "foreign"
    head: CommitRef
    by: tuple[str, ...]
    """Their authors, as `Name <mail>`."""


class NothingChanged(Value):
    """The worktree holds exactly what it started from."""

    kind: Literal["nothing_changed"] = "nothing_changed"


CommitReply = Annotated[Committed | NothingChanged | Foreign, Field(discriminator="kind")]


class RebaseRequest(Value):
    worktree: Worktree
    onto: CommitRef
    branch: str = Field(default="", exclude_if=absent)
    """A branch of WorkTrain's own that is then moved forward to the result as well: the work
    branch, for a slice."""


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


class LookRequest(Value):
    """What may have changed outside while the work went on."""

    pipeline: str
    repo: str
    base: Base
    branch: str | None = None
    """The work branch."""
    known: str | None = None
    """The commit that WorkTrain left it at; None when it has made none yet."""
    task: Task


class Surroundings(Value):
    base: CommitRef
    """The head of the base branch now."""
    foreign: Foreign | None = None
    """Commits on the work branch, here or on the remote, that WorkTrain did not make."""
    task: Task | None = None
    """The task as its source has it now, if its text was edited."""
    suspended: tuple[str, ...] = ()
    """Paths below which nothing is merged without a person until somebody lifts it."""


class ShowChangeRequest(Value):
    """Put the diff between two commits into the store, for a session to be told."""

    repo: str
    before: str
    after: str


class ShownChange(Value):
    digest: str


class SealRequest(Value):
    """Build the proof again from what was stored on the way, compare, sign and store it."""

    proof: Proof


class LaneRequest(Value):
    """Ask for a turn at merging into a base branch."""

    lane: str
    """Id of the lane's workflow: `lane/<workspace>/<branch>`."""
    pipeline: str


class RevertRequest(Value):
    """Put what `before` was in place of what `merged` made of it, on a branch of its own."""

    pipeline: str
    repo: str
    base: Base
    """`at` is the head of the base branch that is red."""
    before: CommitRef
    merged: CommitRef
    branch: str
    why: str


class Reverted(Value):
    kind: Literal["reverted"] = "reverted"
    branch: str
    at: CommitRef
    where: str
    """Where a person finds it, in words."""


class Suspension(Value):
    """Nothing below these paths is merged without a person until somebody lifts it."""

    id: str
    repo: str
    paths: tuple[str, ...]
    why: str
    since_s: float = 0.0
    lifted_by: str = ""
    lifted_why: str = ""


class ReviewPost(Value):
    """A review to be handed to the forge."""

    pipeline: str
    repo: str
    base: Base
    at: CommitRef
    text: str


class Posted(Value):
    kind: Literal["posted"] = "posted"
    where: str


class CloseWorktreeRequest(Value):
    worktree: Worktree
    keep_branch: bool
    also: str = Field(default="", exclude_if=absent)
    """A branch of WorkTrain's own that is not kept either and that no worktree has checked out."""


class CloseWorktreeReply(Value):
    saved: str | None = None
    """Ref that holds what was not committed."""
