"""One agent following one spec in one worktree: what it is given, what happens, how it ends."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from worktrain.contracts.artifact import Handoff
from worktrain.contracts.base import Value
from worktrain.contracts.failure import Failure
from worktrain.contracts.proof import PhaseRecord
from worktrain.contracts.spec import Plan
from worktrain.contracts.task import Task
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


class Section(Value):
    """One titled part of what a session is told at its start."""

    title: str
    body: str


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


class SessionOpened(Value):
    plan: Plan
    script: str
    context: str


class SessionClosed(Value):
    """What is stored when a session has ended."""

    session: str
    pipeline: str
    record: PhaseRecord
    artifacts: tuple[Handoff, ...]
    notes: tuple[str, ...]
    why: str


class SessionResult(Value):
    record: PhaseRecord
    ending: SessionEnding
    why: str
    """One sentence: how it ended, and what can be done."""
    artifacts: tuple[Handoff, ...] = ()
    worktree: Worktree | None = None


class Question(Value):
    """What a person is asked. `options` empty means free text."""

    id: str
    text: str
    options: tuple[str, ...] = ()


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
    talk: int = 0
    """Tokens of the conversation, as the newest model call counted them."""
    blocks: int = 0
    """Refused complete_step calls in a row."""
    reminders: int = 0
    warned: bool = False
    artifacts: tuple[Handoff, ...] = ()
    notes: tuple[str, ...] = ()


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


Event = Annotated[
    Started | TurnTaken | ToolsRan | CallFailed | Answered | Killed, Field(discriminator="kind")
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


Command = Annotated[AskModel | RunTools | AskOperator | Finish, Field(discriminator="kind")]


class SessionStart(Value):
    """How a session's workflow begins; with a command, how it goes on in a new run."""

    request: SessionRequest
    state: SessionState | None = None
    worktree: Worktree | None = None
    command: Command | None = None
    steers: tuple[Steer, ...] = ()
    worked_s: float = 0.0


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
