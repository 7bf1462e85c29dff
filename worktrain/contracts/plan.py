"""What a spec compiles to: a plan that the machine walks, and a script to speak from.

The plan stands in histories, so it holds what is decided on and no long text; the texts are in the
script, which is pinned by content hash. Conditions stand here as they were written, as objects.
"""

from typing import Any, Literal

from pydantic import Field

from worktrain.contracts.base import Authored, JsonObject, Value, absent

ModelTier = Literal["lightweight", "mid", "heavy"]


def _left_out(default: Any = None) -> Any:
    """A field that is not written while it says nothing: most steps have little of this."""
    return Field(default=default, exclude_if=absent)


class Dimension(Value):
    id: str
    levels: tuple[str, ...]
    required: bool = True


class Assessment(Value):
    """A judgement that a step has to deliver as `wr.assessment`."""

    id: str
    dimensions: tuple[Dimension, ...]


class Consequence(Value):
    """What a level brings about: the step is refused with guidance.

    Without a recipe once (tier 1); with one up to `redos_max` times, while the level stays
    (tier 2).
    """

    level: str
    assessment: str | None = None
    guidance: str
    recipe: tuple[str, ...] = _left_out(())
    redos_max: int = 1


class Confirmation(Value):
    """A gate behind a step: after its output was accepted, before the next one."""

    kind: Literal["coordinator_eval", "human_approval"]
    when: JsonObject | None = _left_out()


class Fragment(Value):
    """A text of the script, `<step>/<id>`, that is said while `when` holds."""

    id: str
    when: JsonObject | None = _left_out()
    reads: tuple[str, ...] = _left_out(())
    """Paths of its `{{a.b}}`."""


class Ask(Value):
    """A question to the operator before a step begins; `variable` takes the answer."""

    variable: str
    text: str
    type: Literal["text", "choice", "boolean", "number"] = "text"
    options: tuple[str, ...] = _left_out(())
    when: JsonObject | None = _left_out()
    deadline_s: float | None = _left_out()
    default: Any = _left_out()


class Jump(Value):
    when: JsonObject
    to: str
    jumps_max: int


class Source(Value):
    """A variable that is gathered before a step."""

    variable: str
    paths: tuple[str, ...] = _left_out(())
    task_url: str | None = _left_out()
    required: bool = False


class Delegation(Value):
    name: str
    spec: str
    goal: str
    """May hold `{{a.b}}`."""
    when: JsonObject | None = _left_out()
    context: dict[str, str] = _left_out({})
    """Child's variable, from a path in the parent's context."""
    args: JsonObject = _left_out({})
    """Child's variable, as a value; texts may hold `{{a.b}}`."""
    model_tier: ModelTier | None = _left_out()
    tools: tuple[str, ...] = _left_out(())
    """The only tools that it has; empty means all."""
    gives: dict[str, str] = _left_out({})
    """Parent's variable, from a path in the child's result."""


class Parallel(Value):
    delegations: tuple[Delegation, ...]
    concurrency_max: int = 4
    on_failure: Literal["abort", "continue"] = "continue"
    results: str = "delegationResults"
    items: str | None = _left_out()
    """Path of a list: every delegation is run once for each item."""
    item_var: str = "currentItem"
    index_var: str = "currentIndex"


class Loop(Value):
    type: Literal["while", "until", "for", "forEach"]
    passes_max: int
    when: JsonObject | None = _left_out()
    """The condition of a while or until that is steered by a variable."""
    contract: str | None = _left_out()
    """The artifact kind that steers it, if it is steered by an artifact."""
    loop_id: str = ""
    """The name that such an artifact gives the loop."""
    items: str | None = _left_out()
    count: int | str | None = Field(default=None, exclude_if=lambda count: count is None)
    iteration_var: str = "currentIteration"
    item_var: str = "currentItem"
    index_var: str = "currentIndex"
    exit_when: JsonObject | None = _left_out()
    item_fields: tuple[str, ...] = _left_out(())
    """Fields of an item that the body's texts use: an item without fields cannot be meant."""
    body: tuple["PlanStep", ...]


class PlanStep(Value):
    """What the machine needs to know of a step. At most one of `loop` and `parallel` is set."""

    id: str
    title: str
    contract: str | None = None
    """The artifact kind that must be delivered."""
    notes_required: bool = True
    offers: str | None = _left_out()
    """An artifact kind that may be delivered."""
    when: JsonObject | None = _left_out()
    confirm: Confirmation | None = _left_out()
    loop: Loop | None = _left_out()
    parallel: Parallel | None = _left_out()
    synthesis_of: str | None = _left_out()
    """The parallel step whose results it is about: it runs only when that one ran."""
    assessments: tuple[Assessment, ...] = _left_out(())
    consequences: tuple[Consequence, ...] = _left_out(())
    criteria: JsonObject | None = _left_out()
    """The validationCriteria that the notes must satisfy, as they were written."""
    needs: dict[str, JsonObject] = _left_out({})
    """JSON Schema of each variable that must be there before the step begins."""
    gives: dict[str, JsonObject] = _left_out({})
    """JSON Schema of each variable that the step must give."""
    reads: tuple[str, ...] = _left_out(())
    """Paths of the `{{a.b}}` in its prompt."""
    fragments: tuple[Fragment, ...] = _left_out(())
    todo: tuple[str, ...] = _left_out(())
    asks: tuple[Ask, ...] = _left_out(())
    gathers: tuple[Source, ...] = _left_out(())
    jumps: tuple[Jump, ...] = _left_out(())
    model_tier: ModelTier | None = _left_out()
    system: bool = _left_out(False)
    """Whether the script has a system prompt of its own for it."""


class Plan(Value):
    """What the machine walks. Small enough to stand in a history."""

    spec: str
    model_tier: ModelTier
    steps: tuple[PlanStep, ...]
    needs: dict[str, JsonObject] = _left_out({})
    gives: dict[str, JsonObject] = _left_out({})
    contracts: dict[str, JsonObject] = _left_out({})
    """JSON Schema of each of the project's own artifact kinds that the spec uses."""


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
    # Added in 0.2:
    role: str = ""
    guidance: str = ""
    files: str = ""
    preconditions: str = ""
    clarifications: str = ""
    references: str = ""
    may_deliver: str = ""
    criteria: str = ""
    assessments: str = ""
    gives: str = ""
    todo: str = ""
    first_pass: str = ""
    later_pass: str = ""
    metrics: dict[str, str] = Field(default_factory=dict)
    features: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Feature, then block (constraints, procedure, verify): the text that is added there."""
    refs: dict[str, str] = Field(default_factory=dict)
    """Text of each `wr.refs.X`."""
    blocker: str = ""
    wanted: str = ""
    delegated: str = ""
    spawned: str = ""
    rewound: str = ""
    continued: str = ""
    rejected: str = ""
    not_allowed: str = ""
    too_many: str = ""
    verification: str = ""
    audit: str = ""


class Script(Value):
    """What is said to the model: every text of the spec, by step. Pinned by content hash.

    Texts may hold `{{a.b}}`, which `engine.templates` fills from the values of the step.
    """

    spec: str
    system: str
    prompts: dict[str, str]
    words: Words
    systems: dict[str, str] = Field(default_factory=dict)
    """The system prompt of steps that have one of their own."""
    fragments: dict[str, str] = Field(default_factory=dict)
    """By `<step>/<fragment>`."""
    footers: dict[str, str] = Field(default_factory=dict)
    """What stands at the very end of a step's prompt, behind its fragments."""
    contracts: dict[str, JsonObject] = Field(default_factory=dict)
    """{schema, example} of each artifact kind that the spec's steps ask for."""


class Context(Value):
    """What one session is told about its work, as it was injected. Stored by content hash."""

    opening: str
    """The first user message, before the first step's prompt."""
    rules: str
    """The operator's and the workspace's rules, for the system prompt."""
    injected: dict[str, int] = Field(default_factory=dict)
    """Characters of each part that was injected, by its title, in order."""


class Compiled(Value):
    plan: Plan
    script: Script
