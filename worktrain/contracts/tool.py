"""The tools an agent has: names and arguments that the models know.

Each description is what the model reads; limits are the field's (see docs/reference/tools.md).
"""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from worktrain.contracts.base import Authored


class Arguments(Authored):
    """Arguments of a tool call; an unknown one is told to the model."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Bash(Arguments):
    command: str = Field(min_length=1, max_length=20_000)
    cwd: str | None = Field(default=None, description="Directory, relative to the worktree.")
    timeout_s: int | None = Field(default=None, ge=1, le=1800, description="Default 120.")


class Read(Arguments):
    filePath: str
    offset: int = Field(default=1, ge=1, description="First line, counted from 1.")
    limit: int = Field(default=400, ge=1, le=400, description="Lines.")


class Write(Arguments):
    filePath: str
    content: str


class Edit(Arguments):
    file_path: str
    old_string: str = Field(min_length=1)
    new_string: str
    replace_all: bool = False


class Glob(Arguments):
    pattern: str
    path: str | None = None


class Grep(Arguments):
    pattern: str
    path: str | None = None
    glob: str | None = None
    output_mode: Literal["content", "files_with_matches", "count"] = "files_with_matches"
    head_limit: int = Field(default=250, ge=1, le=1000)
    context: int = Field(default=0, ge=0, le=20)
    ignore_case: bool = Field(default=False, alias="-i")


class Todo(Arguments):
    item: int = Field(ge=1, description="Number of the item in the step's list.")
    done: bool
    reason: str = Field(default="", max_length=500, description="Why it was left out.")


class CompleteStep(Arguments):
    notes: str = ""
    artifacts: tuple[dict[str, Any], ...] = Field(default=(), max_length=10)
    context: dict[str, Any] = Field(
        default_factory=dict, description="Variables to set, by name; null removes one."
    )
    todo: tuple[Todo, ...] = Field(default=(), max_length=20)


class ReportIssue(Arguments):
    kind: Literal[
        "tool_failure", "blocked", "unexpected_behavior", "needs_human", "self_correction"
    ]
    severity: Literal["info", "warn", "error", "fatal"]
    summary: str = Field(min_length=1, max_length=200)
    context: str = Field(default="", max_length=2000)
    options: tuple[str, ...] = Field(
        default=(), max_length=12, description="Answers to choose from, with needs_human."
    )


class AgentConfig(Arguments):
    modelTier: Literal["lightweight", "mid", "heavy"] | None = None


class Agent(Arguments):
    workflowId: str = Field(description="The spec that the agent follows.")
    goal: str = Field(min_length=1, max_length=4000)
    context: dict[str, Any] = Field(default_factory=dict)
    agentConfig: AgentConfig = AgentConfig()
    allowedTools: tuple[str, ...] = Field(default=(), description="Empty: all.")


class SpawnAgent(Arguments):
    """One agent, or up to ten that work at the same time."""

    workflowId: str | None = None
    goal: str | None = Field(default=None, max_length=4000)
    context: dict[str, Any] = Field(default_factory=dict)
    agentConfig: AgentConfig = AgentConfig()
    allowedTools: tuple[str, ...] = ()
    agents: tuple[Agent, ...] = Field(default=(), max_length=10)


class SignalCoordinator(Arguments):
    signalKind: Literal["progress", "finding", "data_needed", "approval_needed", "blocked"]
    payload: dict[str, Any] = Field(default_factory=dict)


READ_ONLY = frozenset({"Read", "Glob", "Grep"})
"""Calls that change nothing: run at the same time, and simply repeated after a crash."""

DECIDED_BY_ENGINE = frozenset(
    {"complete_step", "report_issue", "spawn_agent", "signal_coordinator"}
)
"""Calls that no hand carries out: the machine answers them."""

ARGUMENTS: dict[str, type[Arguments]] = {
    "Bash": Bash,
    "Read": Read,
    "Write": Write,
    "Edit": Edit,
    "Glob": Glob,
    "Grep": Grep,
    "complete_step": CompleteStep,
    "report_issue": ReportIssue,
    "spawn_agent": SpawnAgent,
    "signal_coordinator": SignalCoordinator,
}
