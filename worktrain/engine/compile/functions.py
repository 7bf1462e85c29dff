"""Named texts: put in where a prompt says `name()`, and added where a step asks for them."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from worktrain.contracts.base import JsonObject
from worktrain.contracts.spec import (
    FunctionCall,
    FunctionDefinition,
    FunctionParameter,
    LoopStep,
    ParallelStep,
    Step,
)
from worktrain.engine import templates
from worktrain.engine.compile.draft import Draft, Placed, rewritten
from worktrain.engine.fault import Fault, Path, nearest

MENTIONING = frozenset(
    {
        "prompt", "agentRole", "guidance", "promptFragments", "verification", "audit",
        "systemPrompt", "parallelDelegations", "synthesis",
    }
)  # fmt: skip
"""Fields of a step in whose texts a function is put in."""

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (dict,),
}

Known = Mapping[str, FunctionDefinition]


def put_in(draft: Draft, faults: list[Fault]) -> Draft:
    """The draft with every function's text where it is wanted."""
    steps: list[Placed] = []
    for placed in draft.steps:
        body = tuple(
            _filled(one, _shared(draft, one) | _own(placed) | _own(one), faults)
            for one in placed.body
        )
        known = _shared(draft, placed) | _own(placed)
        steps.append(replace(_filled(placed, known, faults), body=body))
    return Draft(draft.homes, tuple(steps))


def _shared(draft: Draft, placed: Placed) -> dict[str, FunctionDefinition]:
    """What every step may name; a routine's functions come before the spec's."""
    homes = (draft.spec, draft.homes[placed.home])
    return {one.name: one for home in homes for one in home.functionDefinitions}


def _own(placed: Placed) -> dict[str, FunctionDefinition]:
    return {one.name: one for one in placed.step.functionDefinitions}


def _filled(placed: Placed, known: Known, faults: list[Fault]) -> Placed:
    step = placed.step
    if isinstance(step, LoopStep):
        return placed
    mentioned: dict[str, None] = {}
    call = _mention(known)

    def change(text: str, path: Path) -> str:
        if call is None or path[0] not in MENTIONING:
            return text

        def put(found: re.Match[str]) -> str:
            mentioned[found[1]] = None
            return _said(known[found[1]], {}, placed.at(*path), faults)

        return call.sub(put, text)

    step = rewritten(step, change, ())
    if isinstance(step, ParallelStep):
        return placed.changed(step)
    return placed.changed(_with_added(placed, step, known, mentioned, faults))


def _mention(known: Known) -> re.Pattern[str] | None:
    if not known:
        return None
    names = "|".join(re.escape(name) for name in sorted(known, key=len, reverse=True))
    return re.compile(rf"(?<![\w.])({names})\(\)")


def _with_added(
    placed: Placed,
    step: Step,
    known: Known,
    mentioned: Mapping[str, None],
    faults: list[Fault],
) -> Step:
    """The step with the functions that it refers to or calls below its prompt."""
    wanted = [
        (FunctionCall(name=ref.strip().removesuffix("()")), ("functionReferences", at))
        for at, ref in enumerate(step.functionReferences)
    ]
    wanted = [(one, path) for one, path in wanted if one.name not in mentioned]
    wanted += [(one, ("functionCalls", at)) for at, one in enumerate(step.functionCalls)]
    texts = []
    for one, path in wanted:
        where = placed.at(*path)
        if one.name in known:
            texts.append(_said(known[one.name], one.args, where, faults))
        else:
            said = f"step {step.id!r}: there is no function {one.name!r}{nearest(one.name, known)}"
            faults.append(Fault(path=where, rule="unknown-function", message=said))
    if not texts:
        return step
    prompt = "\n\n".join(text.strip() for text in (step.prompt or "", *texts))
    return step.model_copy(update={"prompt": prompt})


def _said(
    function: FunctionDefinition, args: Mapping[str, Any], path: Path, faults: list[Fault]
) -> str:
    """The function's text with its parameters; what is wrong with the arguments is a fault."""
    declared = {parameter.name: parameter for parameter in function.parameters}
    values: JsonObject = {}

    def fault(rule: str, said: str) -> None:
        faults.append(Fault(path=path, rule=rule, message=f"function {function.name!r}: {said}"))

    for name in args:
        if name not in declared:
            fault("unknown-argument", f"it has no parameter {name!r}{nearest(name, declared)}")
    for name, parameter in declared.items():
        value = args.get(name, parameter.default)
        if value is None and parameter.required and not args:
            # A bare `name()`, as WorkRail's files have it: the agent fills in what it is about.
            value = f"<{name}>"
        elif value is None and parameter.required:
            fault("missing-argument", f"its parameter {name!r} is missing; call it with `args`")
        elif value is not None and (wrong := _wrong(value, parameter)):
            fault("wrong-argument", f"its parameter {name!r} has to be {wrong}")
        values[name] = "" if value is None else value
    return templates.expanded(function.definition, values)[0]


def _wrong(value: Any, parameter: FunctionParameter) -> str:
    """What the argument has to be, if it is not."""
    number_meant = parameter.type == "number" and isinstance(value, bool)
    if number_meant or not isinstance(value, _TYPES[parameter.type]):
        return f"of type {parameter.type}"
    if parameter.enum and value not in parameter.enum:
        return f"one of {', '.join(json.dumps(one) for one in parameter.enum)}"
    return ""
