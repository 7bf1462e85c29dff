"""All work for one task: what is asked, what happens, how it ends."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from worktrain.contracts.artifact import Artifact
from worktrain.contracts.base import JsonObject, Value, absent
from worktrain.contracts.delivery import (
    BaseMoved,
    CommitRequest,
    Committed,
    Conflicted,
    Merged,
    MergeRequest,
    NothingChanged,
    Rebased,
    RebaseRequest,
)
from worktrain.contracts.failure import Failure
from worktrain.contracts.proof import (
    Decision,
    PhaseRecord,
    Proof,
    Review,
    Verification,
    VerifyRequest,
)
from worktrain.contracts.session import (
    Question,
    Seed,
    SessionRequest,
    SessionResult,
    SessionView,
)
from worktrain.contracts.steering import Gate
from worktrain.contracts.task import Task
from worktrain.contracts.turn import Usage
from worktrain.contracts.workspace import Base, CommitRef, WorkspaceConfig, Worktree


class PipelineKind(StrEnum):
    FEATURE = "feature"
    IMPLEMENT = "implement"
    QUICK = "quick"
    SPEC = "spec"
    """One session of any spec, by itself."""


class Phase(StrEnum):
    DISCOVERY = "discovery"
    SHAPING = "shaping"
    CODING = "coding"
    REVIEW = "review"
    FIX = "fix"
    MERGE = "merge"
    SESSION = "session"
    """The one phase of a session that runs by itself."""


class PipelineEnding(StrEnum):
    MERGED = "merged"
    NO_CHANGE = "no_change"
    COMPLETED = "completed"
    """A session that ran by itself has delivered."""
    REJECTED = "rejected"
    ESCALATED = "escalated"
    FAILED = "failed"
    KILLED = "killed"


class PipelineRequest(Value):
    pipeline: str
    workspace: str
    repo: str
    task: Task
    kind: PipelineKind
    model: str | None = None
    spec: str = Field(default="", exclude_if=absent)
    """The spec of a session that runs by itself."""
    context: JsonObject = Field(default_factory=dict, exclude_if=absent)
    """Variables that its session is given."""
    seed: Seed | None = None
    """Where that session goes on from, when it is a fork or a continuation of another."""


class Opened(Value):
    """The base that work starts from and the rules that hold, read from it."""

    base: Base
    config: WorkspaceConfig


class PipelineState(Value):
    request: PipelineRequest
    opened: Opened
    phase: Phase
    worktree: Worktree | None = None
    """The worktree of the work branch, once a session has opened it."""
    candidate: CommitRef | None = None
    base: Base
    """The base as it was last seen."""
    artifacts: tuple[Artifact, ...] = ()
    records: tuple[PhaseRecord, ...] = ()
    reviews: tuple[Review, ...] = ()
    verification: Verification | None = None
    decisions: tuple[Decision, ...] = ()
    passes: int = 0
    """Fix passes begun."""
    rebases: int = 0
    usage: Usage = Usage()
    cost_microdollars: int = 0
    merged: CommitRef | None = None
    proof: Proof | None = None


# --- events ------------------------------------------------------------------------------


class Begun(Value):
    kind: Literal["begun"] = "begun"


class SessionEnded(Value):
    kind: Literal["session_ended"] = "session_ended"
    result: SessionResult


class Verified(Value):
    kind: Literal["verified"] = "verified"
    verification: Verification


class Decided(Value):
    kind: Literal["decided"] = "decided"
    decision: Decision


class Proven(Value):
    """The proof is stored and attached."""

    kind: Literal["proven"] = "proven"
    digest: str


class StepFailed(Value):
    """A call failed in a way that trying again does not mend."""

    kind: Literal["step_failed"] = "step_failed"
    failure: Failure


class PipelineKilled(Value):
    kind: Literal["pipeline_killed"] = "pipeline_killed"
    why: str


PipelineEvent = Annotated[
    Begun
    | SessionEnded
    | Committed
    | NothingChanged
    | Verified
    | Decided
    | Rebased
    | Conflicted
    | Merged
    | BaseMoved
    | Proven
    | StepFailed
    | PipelineKilled,
    Field(discriminator="kind"),
]


# --- commands ----------------------------------------------------------------------------


class RunSession(Value):
    kind: Literal["run_session"] = "run_session"
    request: SessionRequest
    seed: Seed | None = None


class CommitWork(Value):
    kind: Literal["commit_work"] = "commit_work"
    request: CommitRequest


class Verify(Value):
    kind: Literal["verify"] = "verify"
    request: VerifyRequest


class OpenGate(Value):
    kind: Literal["open_gate"] = "open_gate"
    gate: str
    text: str


class Rebase(Value):
    kind: Literal["rebase"] = "rebase"
    request: RebaseRequest


class Merge(Value):
    kind: Literal["merge"] = "merge"
    request: MergeRequest


class Prove(Value):
    kind: Literal["prove"] = "prove"
    proof: Proof


class End(Value):
    kind: Literal["end"] = "end"
    ending: PipelineEnding
    why: str


PipelineCommand = Annotated[
    RunSession | CommitWork | Verify | OpenGate | Rebase | Merge | Prove | End,
    Field(discriminator="kind"),
]


class PipelineResult(Value):
    """The last word on a task: also what `run --json` prints."""

    id: str
    ending: PipelineEnding
    why: str
    merged_commit: str | None = None
    tree: str | None = None
    cost_usd: float = 0.0
    tokens: int = 0
    phases: tuple[PhaseRecord, ...] = ()
    branch: str | None = None
    proof: str | None = None
    """Digest of the proof record."""


class PipelineView(Value):
    """What an operator sees of a running pipeline."""

    id: str
    title: str
    phase: str
    session: str | None = None
    doing: str = ""
    gate: Gate | None = None
    held: Failure | None = None
    paused: bool = False
    records: tuple[PhaseRecord, ...] = ()
    usage: Usage = Usage()
    cost_microdollars: int = 0
    passes: int = 0
    running: SessionView | None = None
    """Filled by the client, from the session itself."""
    question: Question | None = None


class PipelineRow(Value):
    """A pipeline in the store's list."""

    id: str
    workspace: str
    repo: str
    title: str
    kind: str
    started_s: float
    ended_s: float | None = None
    ending: str | None = None
    result: PipelineResult | None = None
