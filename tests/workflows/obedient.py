"""A model that does what it is told: it delivers what the plan of the step it just heard asks."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.engine.playing import fulfilling
from worktrain.adapters.models.scenario import text_of
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.plan import Compiled, PlanStep
from worktrain.contracts.turn import ModelReply, ModelRequest, StopReason, ToolUseBlock, Usage

_SHOWN = re.compile(r"\{\{.*?\}\}", re.DOTALL)


class ObedientModel:
    """Knows every spec by its system prompt and every step by its words; keeps no state.

    Whatever else it hears, a refusal above all, fails the session: it has no second idea.
    """

    def __init__(self, specs: Iterable[Compiled], variables: Mapping[str, Any]) -> None:
        """`variables`: what is given where a step asks for it, instead of an example."""
        self._specs = tuple(one for one in specs if one.script.system)
        self._variables = variables
        self.told: list[tuple[str, str]] = []
        """Spec and step, in the order in which they were said."""

    async def reply(self, request: ModelRequest, progress: Callable[[str], None]) -> ModelReply:
        told = text_of(request.messages[-1])
        spec = next(one for one in self._specs if one.script.system in request.system)
        step = next((one for one in _steps(spec) if _is_said(spec, one, told)), None)
        if step is None:
            heard = f"{spec.plan.spec} says something that is no step of it: {told}"
            raise AdapterError(FailureKind.INVALID, f"Obeying: {heard}")
        progress(f"at {step.id}")
        self.told.append((spec.plan.spec, step.id))
        claim = fulfilling(step, spec.plan.contracts)
        given = {name: self._variables.get(name, one) for name, one in claim["context"].items()}
        claim |= {"context": given}
        call = ToolUseBlock(
            id=f"toolu_{len(request.messages):04}", name="complete_step", input=claim
        )
        return ModelReply(
            blocks=(call,),
            stop=StopReason.TOOL_USE,
            usage=Usage(input=10, output=5),
            model=request.model,
            cost_microdollars=10,
        )


def _steps(spec: Compiled) -> Iterable[PlanStep]:
    for step in spec.plan.steps:
        yield from step.loop.body if step.loop else (step,)


def _is_said(spec: Compiled, step: PlanStep, told: str) -> bool:
    """Whether every part of the step's prompt that is not filled stands in what was said."""
    words = spec.script.prompts.get(step.id)
    return words is not None and all(part.strip() in told for part in _SHOWN.split(words))
