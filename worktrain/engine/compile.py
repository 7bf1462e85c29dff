"""From an authored spec to the plan that is walked and the script that is spoken."""

import json
from collections import Counter
from difflib import get_close_matches

from worktrain.contracts.spec import Compiled, Plan, PlanStep, Script, Spec, Step, Words
from worktrain.engine import contracts_check
from worktrain.engine.prompt import fill


class Uncompilable(Exception):
    """The spec can be read but not run; `problems` are sentences."""

    def __init__(self, spec: str, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(f"{spec}: {problem}" for problem in problems))
        self.problems = problems


def compile_spec(spec: Spec, words: Words) -> Compiled:
    """Check what a schema cannot, and pin every text. Raises `Uncompilable`."""
    problems = [
        f"step id {step!r} is used {count} times; ids must differ"
        for step, count in Counter(step.id for step in spec.steps).items()
        if count > 1
    ]
    known = [kind.replace("wr.", "wr.contracts.", 1) for kind in contracts_check.ARTIFACTS]
    for step in spec.steps:
        ref = step.outputContract.contractRef if step.outputContract else None
        if ref and contracts_check.kind_of(ref) is None:
            near = get_close_matches(ref, known, n=1)
            problems.append(
                f"step {step.id!r}: there is no contract {ref!r}"
                + (f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}")
            )
    if problems:
        raise Uncompilable(spec.id, tuple(problems))
    steps = tuple(_planned(step) for step in spec.steps)
    return Compiled(
        plan=Plan(spec=spec.id, model_tier=spec.modelTier, steps=steps),
        script=Script(
            spec=spec.id,
            system="\n\n".join(part for part in (spec.systemPrompt, *spec.metaGuidance) if part),
            prompts={
                step.id: _prompt(step, planned, number, len(steps), words)
                for number, (step, planned) in enumerate(zip(spec.steps, steps, strict=True), 1)
            },
            words=words,
        ),
    )


def _planned(step: Step) -> PlanStep:
    required = step.outputContract is not None and step.outputContract.required
    kind = contracts_check.kind_of(step.outputContract.contractRef) if step.outputContract else None
    return PlanStep(
        id=step.id,
        title=step.title,
        contract=kind if required else None,
        # Notes are asked for where nothing else would show that the step was done.
        notes_required=not (step.notesOptional or required),
    )


def _prompt(step: Step, planned: PlanStep, number: int, steps: int, words: Words) -> str:
    parts = [fill(words.step, number=number, steps=steps, title=step.title, prompt=step.prompt)]
    if planned.contract:
        contract = contracts_check.contract(planned.contract)
        parts.append(
            fill(
                words.deliver,
                kind=contract.kind,
                schema=json.dumps(contract.json_schema, indent=1),
                example=json.dumps(contract.example, indent=1),
            )
        )
    if planned.notes_required:
        parts.append(words.notes)
    return "\n\n".join(part.strip() for part in parts)
