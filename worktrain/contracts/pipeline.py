"""All work for one task: what is asked, what happens, how it ends."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from worktrain.contracts.artifact import Artifact, ReviewVerdict, SlicePlan
from worktrain.contracts.base import JsonObject, Value, absent
from worktrain.contracts.delivery import (
    BaseMoved,
    CommitRequest,
    Committed,
    Conflicted,
    Foreign,
    LookRequest,
    Merged,
    MergeRequest,
    NothingChanged,
    Posted,
    Rebased,
    RebaseRequest,
    Reverted,
    RevertRequest,
    ReviewPost,
    Surroundings,
    Suspension,
)
from worktrain.contracts.examination import Examination, ExamineRequest
from worktrain.contracts.failure import Failure
from worktrain.contracts.ledger import Ledger
from worktrain.contracts.proof import (
    Audit,
    Decision,
    Escalation,
    Matrix,
    PhaseRecord,
    Proof,
    Review,
    SealedProof,
    Verification,
    VerifyRequest,
)
from worktrain.contracts.route import Override, Phase, PipelineKind, Route, TaskClass
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
from worktrain.contracts.workspace import Base, CommitRef, Limits, WorkspaceConfig, Worktree


class PipelineEnding(StrEnum):
    MERGED = "merged"
    NO_CHANGE = "no_change"
    COMPLETED = "completed"
    """A session that ran by itself has delivered."""
    REJECTED = "rejected"
    UNANSWERED = "unanswered"
    """A question reached its deadline."""
    ESCALATED = "escalated"
    """A person has to look: `why` says what was done, what was tried and where to begin."""
    OUT_OF_BUDGET = "out_of_budget"
    REVERT_OPENED = "revert_opened"
    """Merged; then the base branch turned red because of it."""
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
    edition: int = 1
    """Whose rules lead it: those that held when it began."""
    override: Override | None = Field(default=None, exclude_if=absent)


class Opened(Value):
    """The base that work starts from and the rules that hold, read from it."""

    base: Base
    config: WorkspaceConfig
    lessons: tuple[str, ...] = Field(default=(), exclude_if=absent)
    """What earlier work in this workspace taught, the newest first."""
    files: int = Field(default=0, exclude_if=absent)
    """How many files the base has."""
    candidate: CommitRef | None = Field(default=None, exclude_if=absent)
    """What a review pipeline is to judge: the head of the branch that its task names."""


class SliceWork(Value):
    """One slice of a task that is coded in slices."""

    plan: SlicePlan
    session: str = ""
    worktree: Worktree | None = None
    started: CommitRef | None = None
    """What it was begun on."""
    committed: CommitRef | None = None
    """Its work on its own branch."""
    integrated: CommitRef | None = None
    """The candidate with it."""
    overlapped: tuple[str, ...] = ()
    """Files that it changed although they were predicted to be another slice's."""


class Told(Value):
    """What the budget, or anything else an operator should know, gave reason to say."""

    at: str
    """Phase."""
    said: str


class End(Value):
    kind: Literal["end"] = "end"
    ending: PipelineEnding
    why: str


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
    classified: TaskClass | None = None
    route: Route | None = None
    looked: Surroundings | None = None
    """What was seen outside last; None when it is time to look again."""
    edits: tuple[Task, ...] = ()
    """Edits of the task that a person has decided on."""
    examination: Examination | None = None
    ledger: Ledger = Ledger()
    trees: tuple[str, ...] = ()
    """Every candidate's tree, in order."""
    escalation: Escalation | None = None
    audits: tuple[Audit, ...] = ()
    reviewer: str | None = None
    """The session that is parked and knows the change."""
    fresh_wanted: bool = False
    """Whether the next review is by somebody who has not seen the change."""
    escalation_audits: tuple[str, ...] = ()
    """Specs of audits that findings gave reason for."""
    slices: tuple[SliceWork, ...] = ()
    retried: tuple[str, ...] = ()
    """Phases that were begun again after a failure."""
    hint: str = ""
    """What the next session is told of the failure of the last."""
    words: tuple[str, ...] = ()
    """What people said at gates, for the sessions that follow."""
    joined: bool = False
    """Whether the work branch holds all slices."""
    built_on: CommitRef | None = None
    """The base that the candidate stands on."""
    branches: int = 0
    """How often the work was brought onto a branch anew."""
    rebasing: tuple[str, ...] = ()
    """Files of a conflict that a session is to settle."""
    left: tuple[Worktree, ...] = ()
    """Worktrees that nobody works in any more; they are given back at the end."""
    committing: CommitRequest | None = None
    """What a session left in its worktree and is not committed yet."""
    to_commit: tuple[CommitRequest, ...] = ()
    """The same of slices that wait for their turn."""
    taken_in: str | None = None
    """The newest commit of other hands on the work branch that a person let in."""
    mended: tuple[str, ...] = ()
    """What fix passes were tried for, beside findings and checks."""
    mending: str = ""
    """The one of them that the newest pass is for."""
    blind: str = ""
    """A reviewer who gave a verdict without looking."""
    fixed: int = 0
    """Fix passes that ended in a commit."""
    in_lane: bool = False
    proven: bool = False
    told: tuple[Told, ...] = ()
    worked_s: float = 0.0
    """Seconds since the start, waiting for people left out."""
    watched: Verification | None = None
    """The checks on the base branch after the merge."""
    reverted: Reverted | None = None
    sealed: str = ""
    """Digest of the proof that was stored before the merge."""
    sealed_for: str = ""
    """The commit that it speaks of."""
    suspended: bool = False
    posted: str = ""
    end: End | None = None
    """How it will end, when only looking back is left."""
    looked_back: bool = False


# --- events ------------------------------------------------------------------------------


class Begun(Value):
    kind: Literal["begun"] = "begun"


class SessionEnded(Value):
    kind: Literal["session_ended"] = "session_ended"
    result: SessionResult


class SessionsEnded(Value):
    """All sessions of one command have ended, in the command's order."""

    kind: Literal["sessions_ended"] = "sessions_ended"
    results: tuple[SessionResult, ...]


class LookedAround(Value):
    kind: Literal["looked_around"] = "looked_around"
    surroundings: Surroundings


class Examined(Value):
    kind: Literal["examined"] = "examined"
    examination: Examination


class LaneGranted(Value):
    """It is this pipeline's turn to merge."""

    kind: Literal["lane_granted"] = "lane_granted"


class LaneLeft(Value):
    kind: Literal["lane_left"] = "lane_left"


class Sealed(Value):
    kind: Literal["sealed"] = "sealed"
    sealed: SealedProof


class Suspended(Value):
    kind: Literal["suspended"] = "suspended"


class Unanswered(Value):
    """A gate's deadline passed, and nobody had said anything."""

    kind: Literal["unanswered"] = "unanswered"
    gate: str


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
    | SessionsEnded
    | LookedAround
    | Examined
    | LaneGranted
    | LaneLeft
    | Sealed
    | Suspended
    | Unanswered
    | Reverted
    | Posted
    | Committed
    | NothingChanged
    | Foreign
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


class RunSessions(Value):
    """Sessions that run at the same time, so many at once."""

    kind: Literal["run_sessions"] = "run_sessions"
    requests: tuple[SessionRequest, ...]
    at_once: int


class AskAgain(Value):
    """Ask a parked session to look at another commit; its answer is a session's ending."""

    kind: Literal["ask_again"] = "ask_again"
    session: str
    reviewed: CommitRef
    """The commit that it judged last."""
    at: CommitRef
    limits: Limits
    text: str


class LookAround(Value):
    kind: Literal["look_around"] = "look_around"
    request: LookRequest


class Examine(Value):
    kind: Literal["examine"] = "examine"
    request: ExamineRequest


class EnterLane(Value):
    kind: Literal["enter_lane"] = "enter_lane"
    lane: str


class LeaveLane(Value):
    kind: Literal["leave_lane"] = "leave_lane"
    lane: str


class Seal(Value):
    kind: Literal["seal"] = "seal"
    proof: Proof


class OpenRevert(Value):
    kind: Literal["open_revert"] = "open_revert"
    request: RevertRequest


class Suspend(Value):
    kind: Literal["suspend"] = "suspend"
    suspension: Suspension


class PostReview(Value):
    kind: Literal["post_review"] = "post_review"
    request: ReviewPost


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
    deadline_s: float | None = None
    reason_wanted: bool = False
    about: tuple[str, ...] = ()
    """What exactly an approval waives."""


class Rebase(Value):
    kind: Literal["rebase"] = "rebase"
    request: RebaseRequest


class Merge(Value):
    kind: Literal["merge"] = "merge"
    request: MergeRequest


class Prove(Value):
    kind: Literal["prove"] = "prove"
    proof: Proof


PipelineCommand = Annotated[
    RunSession
    | RunSessions
    | AskAgain
    | LookAround
    | Examine
    | EnterLane
    | LeaveLane
    | Seal
    | OpenRevert
    | Suspend
    | PostReview
    | CommitWork
    | Verify
    | OpenGate
    | Rebase
    | Merge
    | Prove
    | End,
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
    workspace: str = Field(default="", exclude_if=absent)
    repo: str = Field(default="", exclude_if=absent)
    route: Route | None = Field(default=None, exclude_if=absent)
    decisions: tuple[Decision, ...] = Field(default=(), exclude_if=absent)
    told: tuple[Told, ...] = Field(default=(), exclude_if=absent)
    matrix: Matrix | None = Field(default=None, exclude_if=absent)
    ledger: Ledger | None = Field(default=None, exclude_if=absent)
    facts: JsonObject = Field(default_factory=dict, exclude_if=absent)
    """What a look back rests on: numbers of sessions, turns, passes, findings, minutes."""
    lessons: tuple[str, ...] = Field(default=(), exclude_if=absent)
    root_cause: str = Field(default="", exclude_if=absent)
    reverted: Reverted | None = Field(default=None, exclude_if=absent)
    verdict: ReviewVerdict | None = Field(default=None, exclude_if=absent)
    """What a review pipeline found."""
    passes: int = Field(default=0, exclude_if=absent)


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
    sessions: tuple[str, ...] = ()
    """All that are at work, when several are."""
    parked: str | None = None
    route: Route | None = None
    told: tuple[Told, ...] = ()


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
