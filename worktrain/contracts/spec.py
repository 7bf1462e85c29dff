"""Authored specs: WorkRail's workflow schema v0.3.0, and what WorkTrain adds to it.

Names are camelCase because authors write them. Source: WorkRail's workflow schema, sections 1.1
to 1.6 of its documentation; what is ours is marked so. What a spec compiles to is in `plan`.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    Tag,
    model_serializer,
    model_validator,
)

from worktrain.contracts.base import Authored, JsonObject

SCHEMA_VERSION = "0.3.0"
"""The version of the schema that is written down here."""

ModelTier = Literal["lightweight", "mid", "heavy"]
Said = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=64)]
StepId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$", min_length=3, max_length=64)]
JsonType = Literal["string", "number", "integer", "boolean", "array", "object"]
Typed = JsonType | JsonObject
"""The type of a context variable: a JSON type's name, or a JSON Schema."""


class AsWritten(Authored):
    """Dumped as it was written: what its author left out stays left out.

    Null is left out too, but where any value may stand: there it can be meant.
    """

    @model_serializer(mode="wrap")
    def _only_what_was_written(self, dump: SerializerFunctionWrapHandler) -> JsonObject:
        fields = type(self).model_fields
        keys = {key for name in self._written() for key in (name, fields[name].alias)}
        return {key: value for key, value in dump(self).items() if key in keys}

    def _written(self) -> set[str]:
        fields = type(self).model_fields
        return {
            name
            for name in self.model_fields_set
            if getattr(self, name) is not None or fields[name].annotation is Any
        }


class Condition(AsWritten):
    """A test of context variables. Exactly one of `var`, `and`, `or`, `not`.

    With several operators beside `var` all must hold; with none the value must be truthy.
    """

    var: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    equals: Any = None
    not_equals: Any = None
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None
    in_: tuple[Any, ...] | None = Field(default=None, alias="in")
    contains: Any = None
    startsWith: str | None = None
    endsWith: str | None = None
    matches: str | None = None
    and_: tuple["Condition", ...] | None = Field(default=None, alias="and", min_length=1)
    or_: tuple["Condition", ...] | None = Field(default=None, alias="or", min_length=1)
    not_: "Condition | None" = Field(default=None, alias="not")

    @model_validator(mode="after")
    def _says_one_thing(self) -> "Condition":
        said = self._written()
        forms = said & {"var", "and_", "or_", "not_"}
        if len(forms) != 1:
            raise ValueError("a condition is one of `var` (with an operator), `and`, `or`, `not`")
        if "var" not in forms and len(said) > 1:
            raise ValueError("operators stand beside `var`, not beside `and`, `or` or `not`")
        return self

    def raw(self) -> JsonObject:
        """As it was written: what the engine evaluates."""
        return self.model_dump(by_alias=True, mode="json")


# --- texts ---------------------------------------------------------------------------------


class TextPart(Authored):
    kind: Literal["text"]
    text: str


class RefPart(Authored):
    kind: Literal["ref"]
    refId: str


Part = Annotated[TextPart | RefPart, Field(discriminator="kind")]
Prose = str | tuple[Part, ...]


class PromptBlocks(Authored):
    """Rendered as Goal, Constraints, Procedure, Output Required, Verify."""

    goal: Prose | None = None
    constraints: tuple[Prose, ...] = ()
    procedure: tuple[Prose, ...] = ()
    outputRequired: dict[str, Prose] = Field(default_factory=dict)
    verify: tuple[Prose, ...] = ()


class PromptFragment(Authored):
    """A text that is added to the prompt while `when` holds."""

    id: str
    when: Condition | None = None
    text: Annotated[str, StringConstraints(max_length=4096)]


class TemplateCall(Authored):
    """The steps of a routine in place of this one: `wr.templates.routine.<name>`, or its id."""

    templateId: str
    args: JsonObject = Field(default_factory=dict)


class FunctionParameter(Authored):
    name: str
    type: Literal["string", "number", "boolean", "array", "object"]
    required: bool = False
    description: str = ""
    enum: tuple[Any, ...] = ()
    default: Any = None


class FunctionDefinition(Authored):
    """A named text, put in where a prompt or `functionReferences` says `name()`."""

    name: str
    definition: str
    parameters: tuple[FunctionParameter, ...] = ()
    scope: Literal["workflow", "loop", "step"] = "workflow"


class FunctionCall(Authored):
    name: str
    args: JsonObject = Field(default_factory=dict)


# --- what must be true of a result ---------------------------------------------------------


class OutputContract(Authored):
    contractRef: str
    required: bool = True


class ValidationRule(AsWritten):
    """A test of the notes."""

    type: Literal["contains", "regex", "length", "schema"]
    message: str
    value: str | None = None
    pattern: str | None = None
    flags: str = ""
    min: int | None = Field(default=None, ge=0)
    max: int | None = Field(default=None, ge=0)
    schema_: JsonObject | None = Field(default=None, alias="schema")
    condition: Condition | None = None


class ValidationComposition(AsWritten):
    and_: tuple["Criteria", ...] | None = Field(default=None, alias="and")
    or_: tuple["Criteria", ...] | None = Field(default=None, alias="or")
    not_: "Criteria | None" = Field(default=None, alias="not")


def _is_rule(value: Any) -> str:
    written = value if isinstance(value, dict) else getattr(value, "model_fields_set", ())
    return "rule" if "type" in written else "composition"


Criteria = Annotated[
    Annotated[ValidationRule, Tag("rule")] | Annotated[ValidationComposition, Tag("composition")],
    Discriminator(_is_rule),
]


class Dimension(Authored):
    id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    purpose: str
    levels: tuple[str, ...] = Field(min_length=2)
    required: bool = True


class Assessment(Authored):
    """A judgement with named dimensions, each with levels to choose from."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    purpose: str
    dimensions: tuple[Dimension, ...] = Field(min_length=1)


class AssessmentTrigger(Authored):
    anyEqualsLevel: str
    forAssessment: str | None = None


class RequireFollowup(Authored):
    """Tier 1: the step is refused once, with guidance."""

    kind: Literal["require_followup"]
    guidance: Annotated[str, StringConstraints(min_length=1, max_length=512)]


class RequireRedo(Authored):
    """Tier 2 (ours): the step is done again along a recipe, until the level is another one."""

    kind: Literal["require_redo"]
    guidance: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    recipe: tuple[Said, ...] = Field(min_length=1, max_length=10)
    maxRedos: int = Field(default=2, ge=1, le=5)


class AssessmentConsequence(Authored):
    when: AssessmentTrigger
    effect: Annotated[RequireFollowup | RequireRedo, Field(discriminator="kind")]


class ConfirmationRule(Authored):
    kind: Literal["coordinator_eval", "human_approval"]
    condition: Condition | None = None


def _confirmation_form(value: Any) -> str:
    if isinstance(value, bool):
        return "flag"
    written = value if isinstance(value, dict) else getattr(value, "model_fields_set", ())
    return "rule" if "kind" in written else "condition"


Confirmation = Annotated[
    Annotated[bool, Tag("flag")]
    | Annotated[ConfirmationRule, Tag("rule")]
    | Annotated[Condition, Tag("condition")],
    Discriminator(_confirmation_form),
]


class Verification(Authored):
    command: str | None = None
    prompt: str | None = None


class Audit(Authored):
    prompt: str | None = None
    rubric: tuple[str, ...] = ()


# --- ours ----------------------------------------------------------------------------------


class TypedQuestion(Authored):
    """Asked of the operator before the step begins, unless its variable is known (ours)."""

    id: Variable
    """Also the context variable that the answer is given to."""
    text: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    type: Literal["text", "choice", "boolean", "number"] = "text"
    options: tuple[Said, ...] = Field(default=(), max_length=12)
    when: Condition | None = None
    deadlineMinutes: float | None = Field(default=None, gt=0)
    default: Any = None
    """Taken at the deadline, and said to have been. Without one the question stays open."""

    @model_validator(mode="after")
    def _choice_has_options(self) -> "TypedQuestion":
        if (self.type == "choice") != bool(self.options):
            raise ValueError("`options` and the type `choice` belong together")
        if self.default is not None and self.deadlineMinutes is None:
            raise ValueError("a default is taken at a deadline: `deadlineMinutes` is missing")
        return self


class Jump(Authored):
    """Where to go after the step when `condition` holds, at most `maxJumps` times (ours)."""

    condition: Condition
    to: str
    maxJumps: int = Field(ge=1, le=100)


class ContextSource(Authored):
    """A variable that the engine fills before the step: from what the coordinator injected, else
    from the first of `paths` that exists, else from a URL in the task (ours)."""

    variable: Variable
    paths: tuple[Said, ...] = ()
    """Relative to the repository; a pattern takes every file that it matches."""
    taskUrl: Annotated[str, StringConstraints(max_length=256)] | None = None
    """A regular expression that a URL in the task must match."""
    required: bool = False


# --- steps ---------------------------------------------------------------------------------


class Common(Authored):
    """What every kind of step has."""

    id: StepId
    title: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    runCondition: Condition | None = None
    requireConfirmation: Confirmation = False
    notesOptional: bool = False
    functionDefinitions: tuple[FunctionDefinition, ...] = ()


class Step(Common):
    """One instruction, together with what must exist when it is done."""

    type: Literal["standard"] = "standard"
    prompt: Annotated[str, StringConstraints(min_length=1, max_length=8192)] | None = None
    promptBlocks: PromptBlocks | None = None
    templateCall: TemplateCall | None = None
    agentRole: Annotated[str, StringConstraints(min_length=10, max_length=1024)] | None = None
    modelTier: ModelTier | None = None
    guidance: tuple[str, ...] = ()
    askForFiles: bool = False
    hasValidation: bool = False
    validationCriteria: Criteria | None = None
    outputContract: OutputContract | None = None
    assessmentRefs: tuple[str, ...] = ()
    assessmentConsequences: tuple[AssessmentConsequence, ...] = Field(default=(), max_length=10)
    functionCalls: tuple[FunctionCall, ...] = ()
    functionReferences: tuple[str, ...] = ()
    promptFragments: tuple[PromptFragment, ...] = ()
    verification: Verification | None = None
    audit: Audit | None = None
    # Ours:
    systemPrompt: Annotated[str, StringConstraints(max_length=8192)] = ""
    needs: dict[Variable, Typed] = Field(default_factory=dict)
    gives: dict[Variable, Typed] = Field(default_factory=dict)
    todoList: tuple[Said, ...] = Field(default=(), max_length=20)
    """Each is reported as done, or as left out with a reason, before the step is accepted."""
    contextGather: tuple[ContextSource, ...] = Field(default=(), max_length=10)
    questions: tuple[TypedQuestion, ...] = Field(default=(), max_length=10)
    jumpIf: tuple[Jump, ...] = Field(default=(), max_length=10)

    @model_validator(mode="after")
    def _has_one_text(self) -> "Step":
        texts = (self.prompt, self.promptBlocks, self.templateCall)
        if sum(text is not None for text in texts) != 1:
            raise ValueError("a step has exactly one of `prompt`, `promptBlocks`, `templateCall`")
        return self


class Delegation(Authored):
    """One child session that the engine runs."""

    workflowId: str
    goal: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    runCondition: Condition | None = None
    contextMapping: dict[str, str] = Field(default_factory=dict)
    """Parent's variable (a dot path may be) to the child's."""
    args: JsonObject = Field(default_factory=dict)
    """Further variables of the child; texts may hold `{{a.b}}`."""
    modelTier: ModelTier | None = None
    allowedTools: tuple[str, ...] = ()
    """Enforced; empty means every tool."""
    # Ours:
    name: StepId | None = None
    gives: dict[Variable, str] = Field(default_factory=dict)
    """Parent's variable, from a dot path in the child's result: `given.x`, `artifact.x`."""


class ForEachDelegation(Authored):
    """Every delegation is run once for each item (ours)."""

    items: str
    itemVar: Variable = "currentItem"
    indexVar: Variable = "currentIndex"


class Synthesis(Authored):
    prompt: Annotated[str, StringConstraints(min_length=1, max_length=8192)]
    outputContract: OutputContract | None = None
    # Ours:
    gives: dict[Variable, Typed] = Field(default_factory=dict)


class ParallelStep(Common):
    """Sessions that run at the same time, and a step that makes one of their results."""

    type: Literal["parallel"]
    parallelDelegations: tuple[Delegation, ...] = Field(min_length=1, max_length=20)
    synthesis: Synthesis | None = None
    # Ours:
    forEach: ForEachDelegation | None = None
    maxConcurrency: int = Field(default=4, ge=1, le=20)
    failPolicy: Literal["abort", "continue"] = "continue"
    resultsVar: Variable = "delegationResults"
    """List of {name, session, ending, why, given, artifact}, in the order of the delegations."""


class ArtifactSource(Authored):
    kind: Literal["artifact_contract"]
    contractRef: str
    loopId: str


class VariableSource(Authored):
    kind: Literal["context_variable"]
    condition: Condition


class LoopRules(Authored):
    type: Literal["while", "until", "for", "forEach"]
    condition: Condition | None = None
    conditionSource: (
        Annotated[ArtifactSource | VariableSource, Field(discriminator="kind")] | None
    ) = None
    items: str | None = None
    count: Annotated[int, Field(ge=0, le=1000)] | str | None = None
    maxIterations: int = Field(ge=1, le=1000)
    iterationVar: Variable = "currentIteration"
    itemVar: Variable = "currentItem"
    indexVar: Variable = "currentIndex"
    # Ours:
    exitWhen: Condition | None = None
    """Leaves any loop after a pass, forEach too."""

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> "LoopRules":
        if self.type == "forEach" and not self.items:
            raise ValueError("a forEach loop needs `items`, the name of a list in the context")
        if self.type == "for" and self.count is None:
            raise ValueError("a for loop needs `count`, a number or the name of one in the context")
        return self


def _form(value: Any) -> str:
    form = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return form if form in ("loop", "parallel") else "standard"


BodyStep = Annotated[
    Annotated[Step, Tag("standard")] | Annotated[ParallelStep, Tag("parallel")],
    Discriminator(_form),
]


class LoopStep(Common):
    type: Literal["loop"]
    loop: LoopRules
    body: str | tuple[BodyStep, ...]
    """Steps, or the id of one step of the spec, which then is no step of its own."""


AnyStep = Annotated[
    Annotated[Step, Tag("standard")]
    | Annotated[ParallelStep, Tag("parallel")]
    | Annotated[LoopStep, Tag("loop")],
    Discriminator(_form),
]


# --- the whole -----------------------------------------------------------------------------


class RecommendedPreferences(Authored):
    recommendedAutonomy: (
        Literal["guided", "full_auto_stop_on_user_deps", "full_auto_never_stop"] | None
    ) = None
    recommendedRiskPolicy: Literal["conservative", "balanced", "aggressive"] | None = None


class ExtensionPoint(Authored):
    """A place that a project may fill: `{{wr.bindings.<slotId>}}` in a prompt."""

    slotId: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
    purpose: str
    default: str
    acceptedKinds: tuple[Literal["routine", "workflow"], ...] = ()


class Reference(Authored):
    """A companion document that is offered to the agent."""

    id: str
    title: str
    source: str
    purpose: str
    authoritative: bool = False
    resolveFrom: Literal["workspace", "package"] = "workspace"


Feature = Literal[
    "wr.features.memory_context", "wr.features.capabilities", "wr.features.subagent_guidance"
]


class Spec(Authored):
    """An authored file: the steps of one kind of session."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.-]+$", min_length=3, max_length=64)]
    name: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    description: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    version: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$")]
    steps: tuple[AnyStep, ...] = Field(min_length=1)
    modelTier: ModelTier = "mid"
    preconditions: tuple[Said, ...] = ()
    clarificationPrompts: tuple[Said, ...] = ()
    metaGuidance: tuple[Said, ...] = ()
    functionDefinitions: tuple[FunctionDefinition, ...] = ()
    recommendedPreferences: RecommendedPreferences | None = None
    features: tuple[Feature, ...] = ()
    assessments: tuple[Assessment, ...] = ()
    extensionPoints: tuple[ExtensionPoint, ...] = ()
    references: tuple[Reference, ...] = ()
    validatedAgainstSpecVersion: int | None = None
    about: str = Field(default="", max_length=4096)
    examples: tuple[Annotated[str, StringConstraints(min_length=10, max_length=120)], ...] = Field(
        default=(), max_length=6
    )
    metricsProfile: Literal["coding", "review", "research", "design", "ticket", "none"] = "none"
    # Ours:
    schemaVersion: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")] = SCHEMA_VERSION
    systemPrompt: Annotated[str, StringConstraints(max_length=8192)] = ""
    tags: tuple[Said, ...] = ()
    needs: dict[Variable, Typed] = Field(default_factory=dict)
    """What the session must be told at its start; what is missing is asked of the operator."""
    gives: dict[Variable, Typed] = Field(default_factory=dict)
    """What it hands to whoever ran it, besides artifacts."""
