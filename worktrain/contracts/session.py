"""One agent following one spec in one worktree: what it is given, what happens, how it ends."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from worktrain.contracts.artifact import Artifact
from worktrain.contracts.base import JsonObject, Value, absent
from worktrain.contracts.failure import Failure
from worktrain.contracts.plan import ModelTier, Plan, Source
from worktrain.contracts.proof import PhaseRecord
from worktrain.contracts.steering import Gate
from worktrain.contracts.task import Task
from worktrain.contracts.trace import Trace
from worktrain.contracts.turn import Say, Steer, ToolCall, ToolReply, TurnReply, TurnRequest, Usage
from worktrain.contracts.workspace import Limits, ModelNames, SandboxRules, Worktree


class SessionEnding(StrEnum):
    COMPLETED = "completed"
    BLOCKED = "blocked"
    STOPPED_EARLY = "stopped_early"
    TURN_LIMIT = "turn_limit"
    TOKEN_LIMIT = "token_limit"
    COST_LIMIT = "cost_limit"
    TIME_LIMIT = "time_limit"
    CONTEXT_FULL = "context_full"
    REFUSED = "refused"
    FAILED = "failed"
    KILLED = "killed"


GateRule = Literal["evaluator", "coordinator", "operator"]
"""evaluator: a session judges. coordinator: passed when no judgement of the step was low.
operator: a person."""


class Section(Value):
    """One titled part of what a session is told at its start."""

    title: str
    body: str


class Diff(Value):
    """A change between two commits, to be shown under a title."""

    title: str
    before: str
    after: str


class SessionRequest(Value):
    """Everything a session depends on."""

    session: str
    pipeline: str
    phase: str
    spec: str
    repo: str
    base: str
    """Commit that the change is measured against."""
    at: str
    """Commit that its worktree starts from."""
    branch: str | None
    """Branch whose worktree it works in; None for a checkout of its own."""
    task: Task
    sections: tuple[Section, ...]
    """What earlier phases handed over."""
    limits: Limits
    models: ModelNames
    model: str | None
    """A model that overrides the tiers."""
    sandbox: SandboxRules
    soul: str = ""
    context: JsonObject = Field(default_factory=dict, exclude_if=absent)
    """Variables that whoever runs the session gives it at its start."""
    tools: tuple[str, ...] = Field(default=(), exclude_if=absent)
    """The only tools that it has; empty means all."""
    tier: ModelTier | None = Field(default=None, exclude_if=absent)
    """A tier instead of the spec's."""
    depth: int = Field(default=0, exclude_if=absent)
    """How many sessions stand above it."""
    pinned: "SessionOpened | None" = Field(default=None, exclude_if=absent)
    """What another session was opened with, when this one goes on from it."""
    gates: GateRule = "evaluator"
    """Who answers the gates that a spec leaves to the coordinator."""
    parks: bool = Field(default=False, exclude_if=absent)
    """Whether it stays open after it has delivered, at no cost, until it is asked for more or let
    go. It then reports to the workflow of its pipeline."""
    diffs: tuple[Diff, ...] = Field(default=(), exclude_if=absent)
    """Changes that it is shown beside its own."""


class SessionOpened(Value):
    plan: Plan
    script: str
    context: str


class SessionClosed(Value):
    """What is stored when a session has ended."""

    session: str
    pipeline: str
    record: PhaseRecord
    artifacts: tuple[Artifact, ...]
    notes: tuple[str, ...]
    why: str
    trace: tuple[Trace, ...] = Field(default=(), exclude_if=absent)
    """What was decided since the last turn."""
    given: JsonObject = Field(default_factory=dict, exclude_if=absent)


class SessionResult(Value):
    record: PhaseRecord
    ending: SessionEnding
    why: str
    """One sentence: how it ended, and what can be done."""
    artifacts: tuple[Artifact, ...] = ()
    worktree: Worktree | None = None
    given: JsonObject = Field(default_factory=dict, exclude_if=absent)
    """The variables that its spec declares to give."""


class Question(Value):
    """What a person is asked. `options` empty means free text."""

    id: str
    text: str
    options: tuple[str, ...] = ()
    type: Literal["text", "choice", "boolean", "number", "json"] = "text"
    deadline_s: float | None = None
    """Seconds until `default` is taken instead of an answer."""
    default: str = ""
    variable: str = ""
    """The context variable that takes the answer; empty for a question of the agent."""


class Frame(Value):
    """Where a session is inside of a loop."""

    iteration: int
    """The pass, from 1."""
    at: int
    """Index of the step in the loop's body."""


class Claim(Value):
    """An accepted step whose gate is not answered yet; nothing of it is lost meanwhile."""

    call: str
    notes: str
    artifacts: tuple[Artifact, ...] = ()
    given: JsonObject = Field(default_factory=dict)


class Checkpoint(Value):
    """The beginning of a step, to which a session can be put back."""

    id: str
    step: str
    title: str
    at: int
    """Index of the step in the plan."""
    frame: Frame | None = None
    head: str | None
    """The newest message at that time, and below what was to be said next."""
    say: tuple[Say, ...]
    artifacts: int
    """How many artifacts had been delivered by then."""
    noted: int = Field(default=0, exclude_if=absent)
    """How many steps had left notes by then."""
    before: JsonObject = Field(default_factory=dict, exclude_if=absent)
    """The values of variables that were changed since, as they were."""
    unset: tuple[str, ...] = Field(default=(), exclude_if=absent)
    """Variables that were set since, and did not exist."""


class SessionState(Value):
    """All that the machine knows; enough to go on from anywhere."""

    request: SessionRequest
    opened: SessionOpened
    step: int = 0
    turn: int = 0
    head: str | None = None
    say: tuple[Say, ...] = ()
    waiting: tuple[ToolCall, ...] = ()
    """Calls of the last turn that the engine answers itself once the others are done."""
    usage: Usage = Usage()
    cost_microdollars: int = 0
    model: str = ""
    looks: int = Field(default=0, exclude_if=absent)
    """Tool calls that were run."""
    talk: int = 0
    """Tokens of the conversation, as the newest model call counted them."""
    blocks: int = 0
    """Refused complete_step calls in a row."""
    reminders: int = 0
    warned: bool = False
    artifacts: tuple[Artifact, ...] = ()
    """The newest ones."""
    notes: tuple[str, ...] = ()
    """The newest ones; all of them are in the transcript."""
    delivered: int = 0
    """Artifacts delivered in all."""
    noted: int = Field(default=0, exclude_if=absent)
    """Steps that left notes, in all."""
    frame: Frame | None = None
    """Where it is inside of the loop that step `step` is, if it is one."""
    context: JsonObject = Field(default_factory=dict, exclude_if=absent)
    """The variables."""
    trace: tuple[Trace, ...] = Field(default=(), exclude_if=absent)
    """What was decided and is not stored yet."""
    traced: int = 0
    """Entries so far."""
    claim: Claim | None = Field(default=None, exclude_if=absent)
    redone: dict[str, int] = Field(default_factory=dict, exclude_if=absent)
    """How often each consequence has refused the present step."""
    rejections: int = Field(default=0, exclude_if=absent)
    """How often the present step's gate was answered with no."""
    jumped: dict[str, int] = Field(default_factory=dict, exclude_if=absent)
    """How often each jump was taken."""
    steered: Literal["", "continue", "stop"] = Field(default="", exclude_if=absent)
    """What the newest accepted step said about a loop, if it said anything."""
    steered_loop: str = Field(default="", exclude_if=absent)
    """The loop that it named."""
    skipped: str = Field(default="", exclude_if=absent)
    """The parallel step that did not run, whose synthesis therefore does not either."""
    spawned: int = Field(default=0, exclude_if=absent)
    """Child sessions so far."""
    arrived: Literal["", "admitted", "gathered"] = Field(default="", exclude_if=absent)
    """How far the present step is prepared: its condition and the gate in front of it have let it
    through; its context is gathered."""
    checkpoints: tuple[Checkpoint, ...] = Field(default=(), exclude_if=absent)
    """The newest ones, oldest first."""
    checkpointed: int = Field(default=0, exclude_if=absent)


# --- events ------------------------------------------------------------------------------


class Started(Value):
    kind: Literal["started"] = "started"


class TurnTaken(Value):
    kind: Literal["turn_taken"] = "turn_taken"
    reply: TurnReply


class ToolsRan(Value):
    kind: Literal["tools_ran"] = "tools_ran"
    replies: tuple[ToolReply, ...]


class CallFailed(Value):
    kind: Literal["call_failed"] = "call_failed"
    failure: Failure


class Answered(Value):
    kind: Literal["answered"] = "answered"
    question: str
    text: str
    by: str


class Killed(Value):
    kind: Literal["killed"] = "killed"
    why: str


class ChildEnded(Value):
    name: str
    result: SessionResult


class ChildrenEnded(Value):
    """All sessions of one command have ended; in the command's order."""

    kind: Literal["children_ended"] = "children_ended"
    children: tuple[ChildEnded, ...]


class Confirmed(Value):
    """A gate was answered."""

    kind: Literal["confirmed"] = "confirmed"
    answer: Literal["approved", "rejected"]
    by: str
    reason: str = ""


class Gathered(Value):
    """What was found for each variable; one that was not found is left out."""

    kind: Literal["gathered"] = "gathered"
    values: dict[str, str]
    said: tuple[str, ...] = ()
    """Where each came from, or why it was not found."""


class RewindAsked(Value):
    kind: Literal["rewind_asked"] = "rewind_asked"
    checkpoint: str
    reason: str
    by: str


class ContinueAsked(Value):
    """A finished session is to go on at its last step."""

    kind: Literal["continue_asked"] = "continue_asked"
    text: str
    by: str
    attached: str = Field(default="", exclude_if=absent)
    """Content hash of a text that is told with it."""


class GoOn(Value):
    """What a parked session is asked for: look at another commit and deliver again."""

    at: str
    """Commit that its new worktree starts from."""
    limits: Limits
    """What it may have used in all, the first time included."""
    event: ContinueAsked


Event = Annotated[
    Started
    | TurnTaken
    | ToolsRan
    | CallFailed
    | Answered
    | Killed
    | ChildrenEnded
    | Confirmed
    | Gathered
    | RewindAsked
    | ContinueAsked,
    Field(discriminator="kind"),
]


class Happened(Value):
    """An event, how long the session has worked, and what the operator said in the meantime."""

    event: Event
    worked_s: float
    """Seconds since the start, waiting for people left out."""
    steers: tuple[Steer, ...] = ()


# --- commands ----------------------------------------------------------------------------


class AskModel(Value):
    kind: Literal["ask_model"] = "ask_model"
    request: TurnRequest


class RunTools(Value):
    """Groups run one after the other; the calls of one group at the same time."""

    kind: Literal["run_tools"] = "run_tools"
    groups: tuple[tuple[ToolCall, ...], ...]


class AskOperator(Value):
    kind: Literal["ask_operator"] = "ask_operator"
    question: Question


class Finish(Value):
    kind: Literal["finish"] = "finish"
    ending: SessionEnding
    why: str


class Child(Value):
    """A session to be run for this one. `at` of its request is replaced by a snapshot of this
    one's worktree, when that is on a branch."""

    name: str
    request: SessionRequest


class RunChildren(Value):
    """Child sessions, so many at a time; with `abort` the first failure ends the others."""

    kind: Literal["run_children"] = "run_children"
    children: tuple[Child, ...]
    concurrency_max: int = 4
    on_failure: Literal["abort", "continue"] = "continue"


class Confirm(Value):
    """Wait for an operator's answer to a gate."""

    kind: Literal["confirm"] = "confirm"
    gate: Gate


class GatherRequest(Value):
    session: str
    repo: str
    at: str
    """Commit whose files are read."""
    task: Task
    sources: tuple[Source, ...]


class Gather(Value):
    """Look for the variables of a step outside of the session."""

    kind: Literal["gather"] = "gather"
    request: GatherRequest


Command = Annotated[
    AskModel | RunTools | AskOperator | Finish | RunChildren | Confirm | Gather,
    Field(discriminator="kind"),
]


class Seed(Value):
    """A session's state that another one goes on from: its conversation, step and variables."""

    state: SessionState
    event: Annotated[RewindAsked | ContinueAsked, Field(discriminator="kind")]


class SessionStart(Value):
    """How a session's workflow begins; with a command, how it goes on in a new run."""

    request: SessionRequest
    state: SessionState | None = None
    seed: Seed | None = None
    worktree: Worktree | None = None
    command: Command | None = None
    steers: tuple[Steer, ...] = ()
    worked_s: float = 0.0
    rounds: int = Field(default=0, exclude_if=absent)
    """How often it has delivered and was parked."""


class SessionView(Value):
    """What an operator sees of a running session."""

    session: str
    phase: str
    step: str = ""
    step_number: int = 0
    steps: int = 0
    turn: int = 0
    doing: str = ""
    usage: Usage = Usage()
    cost_microdollars: int = 0
    question: Question | None = None
    held: Failure | None = None
    paused: bool = False
    gate: Gate | None = None
    trace: tuple[Trace, ...] = ()
    """What was decided since the last turn."""
    checkpoints: tuple[str, ...] = ()
    """`<id> <step's title>` of each point that it can be put back to, oldest first."""
    children: tuple[str, ...] = ()
    """Sessions that are at work for this one."""
    parked: bool = False
    """Whether it has delivered and waits, at no cost, to be asked for more."""
