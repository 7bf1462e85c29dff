"""Authored specs, and what they compile to: a plan to walk and a script to speak from."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from worktrain.contracts.base import Authored, Value

StepId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$", min_length=3, max_length=64)]
ModelTier = Literal["lightweight", "mid", "heavy"]


class OutputContract(Authored):
    contractRef: str
    required: bool = True


class Step(Authored):
    """One instruction, together with what must exist when it is done."""

    id: StepId
    title: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    prompt: Annotated[str, StringConstraints(min_length=1, max_length=8192)]
    outputContract: OutputContract | None = None
    notesOptional: bool = False


class Spec(Authored):
    """An authored file: the steps of one kind of session. Names are WorkRail's."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.-]+$", min_length=3, max_length=64)]
    name: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    description: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    version: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")]
    systemPrompt: str = ""
    modelTier: ModelTier = "mid"
    metaGuidance: tuple[Annotated[str, StringConstraints(max_length=256)], ...] = ()
    about: str = Field(default="", max_length=4096)
    examples: tuple[Annotated[str, StringConstraints(min_length=10, max_length=120)], ...] = Field(
        default=(), max_length=6
    )
    steps: tuple[Step, ...] = Field(min_length=1)


class PlanStep(Value):
    """What the machine needs to know of a step."""

    id: str
    title: str
    contract: str | None = None
    """The artifact kind that must be delivered."""
    notes_required: bool = True


class Plan(Value):
    """What the machine walks. Small enough to stand in a history."""

    spec: str
    model_tier: ModelTier
    steps: tuple[PlanStep, ...]


class Words(Authored):
    """What every session says to a model, whatever its spec: `workflow_specs/prompts/session.yaml`.

    Each is a template; the names in double braces are filled by `engine.prompt`. Running sessions
    have them pinned: a later one needs a default.
    """

    base: str
    tools: dict[str, str]
    task: str
    section: str
    rules: str
    workspace_rules: str
    deliver: str
    notes: str
    step: str
    accepted: str
    blocked: str
    reminder: str
    cut_off: str
    not_run: str
    one_step: str
    unread: str
    noted: str
    answer: str
    steer: str
    near_limit: str
    no_output: str
    lost: str


class Script(Value):
    """What is said to the model: every text of the spec, by step. Pinned by content hash."""

    spec: str
    system: str
    prompts: dict[str, str]
    words: Words


class Context(Value):
    """What one session is told about its work, as it was injected. Stored by content hash."""

    opening: str
    """The first user message, before the first step's prompt."""
    rules: str
    """The operator's and the workspace's rules, for the system prompt."""


class Compiled(Value):
    plan: Plan
    script: Script
