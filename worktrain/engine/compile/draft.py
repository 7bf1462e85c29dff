"""A spec on its way to a plan: its steps with the places they were written at, and its texts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import BaseModel

from worktrain.contracts import spec as authored
from worktrain.contracts.spec import AnyStep, LoopStep, ParallelStep, Spec, Step
from worktrain.engine.fault import Path

T = TypeVar("T")
Change = Callable[[str, Path], str]
"""What becomes of a text that stands at a path."""


@dataclass(frozen=True)
class Placed:
    """A step, where it was written, and whose names it may use."""

    step: AnyStep
    path: Path
    """In the authored document. For a step of a routine: of the call."""
    home: str
    """Id of the spec or routine that it was written in."""
    called: bool = False
    """It came in with a routine: the document that is compiled has nothing below its path."""
    body: tuple["Placed", ...] = ()
    synthesis_of: str | None = None

    def at(self, *more: str | int) -> Path:
        return self.path if self.called else (*self.path, *more)

    def changed(self, step: AnyStep | None = None, **fields: Any) -> "Placed":
        """A copy; `fields` are those of its step."""
        step = step or self.step
        return replace(self, step=step.model_copy(update=fields) if fields else step)


@dataclass(frozen=True)
class Draft:
    homes: dict[str, Spec]
    """By id: the spec itself, then each routine that it calls."""
    steps: tuple[Placed, ...]

    @property
    def spec(self) -> Spec:
        return next(iter(self.homes.values()))

    def walked(self) -> Iterator[Placed]:
        """Every step; those of a loop's body behind their loop."""
        for placed in self.steps:
            yield placed
            yield from placed.body

    def rewritten(self, change: Change) -> "Draft":
        """The draft with every text changed."""
        spec = self.spec.id
        homes = {
            name: rewritten(home, change, () if name == spec else ("steps",))
            for name, home in self.homes.items()
        }
        return Draft(homes, tuple(_rewritten(placed, change) for placed in self.steps))

    def each(self, change: Callable[[Placed], Placed]) -> "Draft":
        """The draft with every step changed, those of bodies first."""
        return replace(
            self,
            steps=tuple(
                change(replace(placed, body=tuple(change(one) for one in placed.body)))
                for placed in self.steps
            ),
        )


def of(spec: Spec, path: Path = (), *, called: bool = False) -> tuple[Placed, ...]:
    """The steps of a spec. A step that a loop names as its body stands there and nowhere else.

    A body that names no step stays empty: see `engine.check`.
    """

    def placed(step: AnyStep, *place: str | int) -> Placed:
        return Placed(step, path if called else (*path, *place), spec.id, called)

    first: dict[str, int] = {}
    for index, step in enumerate(spec.steps):
        first.setdefault(step.id, index)
    taken: set[int] = set()
    made: list[Placed] = []
    for index, step in enumerate(spec.steps):
        one = placed(step, "steps", index)
        if isinstance(step, LoopStep):
            if isinstance(step.body, str):
                at = first.get(step.body)
                if at is not None and not isinstance(spec.steps[at], LoopStep):
                    taken.add(at)
                    one = replace(one, body=(placed(spec.steps[at], "steps", at),))
            else:
                inside = enumerate(step.body)
                body = tuple(placed(s, "steps", index, "body", at) for at, s in inside)
                one = replace(one, body=body)
        made.append(one)
    return tuple(one for index, one in enumerate(made) if index not in taken)


PROSE: dict[type[BaseModel], tuple[str, ...]] = {
    Spec: (
        "systemPrompt", "metaGuidance", "preconditions", "clarificationPrompts", "references",
        "assessments", "functionDefinitions",
    ),
    Step: (
        "title", "prompt", "promptBlocks", "agentRole", "guidance", "runCondition",
        "requireConfirmation", "functionDefinitions", "functionCalls", "validationCriteria",
        "assessmentConsequences", "promptFragments", "verification", "audit", "systemPrompt",
        "todoList", "contextGather", "questions", "jumpIf",
    ),
    LoopStep: ("title", "runCondition", "requireConfirmation", "functionDefinitions", "loop"),
    ParallelStep: (
        "title", "runCondition", "requireConfirmation", "functionDefinitions",
        "parallelDelegations", "synthesis", "forEach",
    ),
    authored.LoopRules: ("condition", "conditionSource", "items", "count", "exitWhen"),
    authored.VariableSource: ("condition",),
    authored.Delegation: ("workflowId", "goal", "runCondition", "args"),
    authored.ForEachDelegation: ("items",),
    authored.Synthesis: ("prompt",),
    authored.PromptBlocks: ("goal", "constraints", "procedure", "outputRequired", "verify"),
    authored.TextPart: ("text",),
    authored.PromptFragment: ("when", "text"),
    authored.FunctionDefinition: ("definition",),
    authored.FunctionCall: ("args",),
    authored.ValidationRule: ("message", "value", "condition"),
    authored.ValidationComposition: ("and_", "or_", "not_"),
    authored.Assessment: ("purpose", "dimensions"),
    authored.Dimension: ("purpose",),
    authored.AssessmentConsequence: ("effect",),
    authored.RequireFollowup: ("guidance",),
    authored.RequireRedo: ("guidance", "recipe"),
    authored.ConfirmationRule: ("condition",),
    authored.Verification: ("command", "prompt"),
    authored.Audit: ("prompt", "rubric"),
    authored.TypedQuestion: ("text", "options", "when"),
    authored.Jump: ("condition",),
    authored.ContextSource: ("paths",),
    authored.Reference: ("title", "source", "purpose"),
    authored.Condition: (
        "var", "equals", "not_equals", "in_", "contains", "startsWith", "endsWith",
        "and_", "or_", "not_",
    ),
}  # fmt: skip
"""Where texts stand that people or models read, or that conditions compare. Names, patterns and
JSON Schemas are none."""


def rewritten(value: T, change: Change, path: Path) -> T:
    """The value with every text in it changed; what was not written stays unwritten."""
    made: Any = value
    if isinstance(value, str):
        made = change(value, path)
    elif isinstance(value, BaseModel):
        fields = type(value).model_fields
        update = {
            name: rewritten(getattr(value, name), change, (*path, fields[name].alias or name))
            for name in PROSE.get(type(value), ())
            if name in value.model_fields_set
        }
        made = value.model_copy(update=update)
    elif isinstance(value, tuple | list):
        made = type(value)(rewritten(one, change, (*path, at)) for at, one in enumerate(value))
    elif isinstance(value, dict):
        made = {key: rewritten(one, change, (*path, key)) for key, one in value.items()}
    return made  # type: ignore[no-any-return]


def _rewritten(placed: Placed, change: Change) -> Placed:
    step = rewritten(placed.step, lambda text, path: change(text, placed.at(*path)), ())
    return replace(placed, step=step, body=tuple(_rewritten(one, change) for one in placed.body))
