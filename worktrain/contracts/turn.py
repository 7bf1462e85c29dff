"""One reply of the model and what is said to it: the shapes of the Anthropic Messages API.

Source: platform.claude.com, Messages API. A block whose type we do not use (thinking, for
example) is kept as it came, because it must be sent back unchanged.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from worktrain.contracts.base import JsonObject, Value, absent
from worktrain.contracts.trace import Trace
from worktrain.contracts.workspace import SandboxRules


class TextBlock(Value):
    type: Literal["text"] = "text"
    text: str


class ToolUseBlock(Value):
    type: Literal["tool_use"] = "tool_use"
    id: str
    name: str
    input: dict[str, Any]


class ToolResultBlock(Value):
    type: Literal["tool_result"] = "tool_result"
    tool_use_id: str
    content: str
    is_error: bool = False


class OpaqueBlock(Value):
    """A block of a type that we only carry."""

    type: Literal["opaque"] = "opaque"
    raw: JsonObject


Block = Annotated[
    TextBlock | ToolUseBlock | ToolResultBlock | OpaqueBlock, Field(discriminator="type")
]


class Message(Value):
    role: Literal["user", "assistant"]
    blocks: tuple[Block, ...]


class Usage(Value):
    """Tokens of one call or of many. `input` excludes what came from or went to the cache."""

    input: int = Field(default=0, exclude_if=absent)
    output: int = Field(default=0, exclude_if=absent)
    cache_read: int = Field(default=0, exclude_if=absent)
    cache_write: int = Field(default=0, exclude_if=absent)

    @property
    def sent(self) -> int:
        return self.input + self.cache_read + self.cache_write

    @property
    def total(self) -> int:
        return self.sent + self.output

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input=self.input + other.input,
            output=self.output + other.output,
            cache_read=self.cache_read + other.cache_read,
            cache_write=self.cache_write + other.cache_write,
        )


class ToolSchema(Value):
    """A tool as it is offered to the model; `parameters` is a JSON Schema."""

    name: str
    description: str
    parameters: JsonObject


class StopReason(StrEnum):
    END_TURN = "end_turn"
    TOOL_USE = "tool_use"
    MAX_TOKENS = "max_tokens"
    REFUSAL = "refusal"


class ModelRequest(Value):
    """Everything that one model call depends on. `system` goes from most to least stable."""

    model: str
    system: tuple[str, ...]
    tools: tuple[ToolSchema, ...]
    messages: tuple[Message, ...]
    max_tokens: int


class ModelReply(Value):
    blocks: tuple[Block, ...]
    stop: StopReason
    usage: Usage
    model: str
    cost_microdollars: int = 0


# --- what a workflow knows of a turn -------------------------------------------------------


class Pass(Value):
    """Which pass of which loop a step is said in."""

    loop: str
    """Title of the loop."""
    number: int
    most: int
    item: str = Field(default="", exclude_if=absent)
    """The item that a forEach is at, as text."""


class StepPrompt(Value):
    """The instruction of a step; its words are in the pinned script."""

    kind: Literal["step"] = "step"
    step: str
    values: dict[str, str] = Field(default_factory=dict, exclude_if=absent)
    """What each `{{a.b}}` of its texts stands for."""
    fragments: tuple[str, ...] = Field(default=(), exclude_if=absent)
    """The fragments whose condition holds."""
    in_pass: Pass | None = Field(default=None, exclude_if=absent)


class Reminder(Value):
    """The model stopped without complete_step."""

    kind: Literal["reminder"] = "reminder"
    step: str


class CutOff(Value):
    """The reply reached the output limit of one call."""

    kind: Literal["cut_off"] = "cut_off"
    max_tokens: int


class Steer(Value):
    """Words put into a running session."""

    kind: Literal["steer"] = "steer"
    text: str
    by: str


class NearLimit(Value):
    """Little is left of a limit: hand over what there is."""

    kind: Literal["near_limit"] = "near_limit"
    limit: str
    left: str


class ToolDone(Value):
    """The output of a tool call; its text is in the store."""

    kind: Literal["tool_done"] = "tool_done"
    call: str


class StepAccepted(Value):
    """complete_step was accepted; the next step's prompt follows."""

    kind: Literal["accepted"] = "accepted"
    call: str
    prompt: StepPrompt | None = None


class BlockerCode(StrEnum):
    """WorkRail's blocker codes, as far as a session of ours can meet them."""

    USER_ONLY_DEPENDENCY = "USER_ONLY_DEPENDENCY"
    MISSING_REQUIRED_OUTPUT = "MISSING_REQUIRED_OUTPUT"
    INVALID_REQUIRED_OUTPUT = "INVALID_REQUIRED_OUTPUT"
    ASSESSMENT_FOLLOWUP_REQUIRED = "ASSESSMENT_FOLLOWUP_REQUIRED"
    MISSING_REQUIRED_NOTES = "MISSING_REQUIRED_NOTES"
    INVALID_NOTES = "INVALID_NOTES"
    MISSING_CONTEXT_KEY = "MISSING_CONTEXT_KEY"
    INVALID_CONTEXT_KEY = "INVALID_CONTEXT_KEY"
    CONTEXT_BUDGET_EXCEEDED = "CONTEXT_BUDGET_EXCEEDED"
    INVALID_CALL = "INVALID_CALL"
    """The arguments of complete_step itself are wrong."""


class Pointer(Value):
    """What a blocker is about."""

    kind: Literal[
        "context_key",
        "context_budget",
        "output_contract",
        "assessment_dimension",
        "workflow_step",
        "notes",
    ]
    name: str
    """The variable, the artifact kind, the dimension, the step."""


class Blocker(Value):
    """One thing that keeps a step from being done, and how to put it right."""

    code: BlockerCode
    pointer: Pointer
    message: str
    """What exactly is wrong, at most 512 characters."""
    fix: str = Field(default="", exclude_if=absent)
    """What to do, at most 1,024 characters."""

    def __str__(self) -> str:
        return self.message


class StepBlocked(Value):
    """complete_step was refused, and why exactly."""

    kind: Literal["blocked"] = "blocked"
    call: str
    step: str
    blockers: tuple[Blocker, ...] = ()
    tries_left: int


class Reported(Value):
    """A child session's end, told to its parent; its output is in the store."""

    name: str
    session: str
    ending: str
    why: str


class Delegated(Value):
    """What the sessions of a parallel step brought: said before the step that uses it."""

    kind: Literal["delegated"] = "delegated"
    step: str
    children: tuple[Reported, ...]


class Spawned(Value):
    """The answer to a spawn_agent call."""

    kind: Literal["spawned"] = "spawned"
    call: str
    children: tuple[Reported, ...]


class Rewound(Value):
    """The session was put back to an earlier step."""

    kind: Literal["rewound"] = "rewound"
    step: str
    reason: str
    by: str


class Continued(Value):
    """A finished session is asked for more."""

    kind: Literal["continued"] = "continued"
    step: str
    text: str
    by: str
    attached: str = Field(default="", exclude_if=absent)
    """Content hash of a text that is told with it: a diff."""


class CallAnswered(Value):
    """A call that needed no hand; `word` names the template, `text` is the operator's answer."""

    kind: Literal["answered"] = "answered"
    call: str
    word: Literal[
        "not_run", "one_step", "unread", "noted", "answer", "rejected", "not_allowed", "too_many"
    ]
    text: str = ""
    is_error: bool = False


Say = Annotated[
    StepPrompt
    | Reminder
    | CutOff
    | Steer
    | NearLimit
    | ToolDone
    | StepAccepted
    | StepBlocked
    | CallAnswered
    | Delegated
    | Spawned
    | Rewound
    | Continued,
    Field(discriminator="kind"),
]
"""One thing to tell the model; the activity finds the words."""


class TurnRequest(Value):
    """One model call, by reference: the transcript is what leads to `head`."""

    session: str
    turn: int
    head: str | None
    """Id of the newest message, or None at the beginning."""
    say: tuple[Say, ...]
    script: str
    """Content hash of the pinned script."""
    context: str
    """Content hash of the session's context."""
    model: str
    max_tokens: int
    step: str = Field(default="", exclude_if=absent)
    """The step whose own system prompt holds, if there is one."""
    tools: tuple[str, ...] = Field(default=(), exclude_if=absent)
    """The only tools that are offered; empty means all."""
    trace: tuple[Trace, ...] = Field(default=(), exclude_if=absent)
    """What was decided since the last turn, to be stored with this one."""
    spend_microdollars_max: int | None = Field(default=None, exclude_if=lambda one: one is None)
    """What the budget still pays for; the worst case of this call is reserved from it."""


class ToolCall(Value):
    """What the model asked for. `input` travels only where the engine itself decides on it."""

    id: str
    name: str
    preview: str
    input: dict[str, Any] | None = Field(default=None, exclude_if=absent)


class TurnReply(Value):
    head: str
    stop: StopReason
    calls: tuple[ToolCall, ...] = Field(default=(), exclude_if=absent)
    preview: str = Field(default="", exclude_if=absent)
    usage: Usage = Usage()
    cost_microdollars: int = 0
    model: str = ""


class ToolRequest(Value):
    """One tool call: its input is in message `head` of the transcript."""

    session: str
    head: str
    call: str
    name: str
    root: str
    """The session's worktree."""
    sandbox: SandboxRules = Field(
        default=SandboxRules(), exclude_if=lambda rules: rules == SandboxRules()
    )


class ToolReply(Value):
    call: str
    ok: bool
    preview: str
