"""Routines: their steps in place of the step that calls one."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from worktrain.contracts.base import JsonObject
from worktrain.contracts.spec import AnyStep, Condition, LoopStep, ParallelStep, Spec, Step
from worktrain.engine import templates
from worktrain.engine.compile import draft
from worktrain.engine.compile.draft import Draft, Placed, rewritten
from worktrain.engine.fault import Fault, Path, nearest

PREFIX = "wr.templates.routine."

FIRST = ("needs", "contextGather", "questions")
"""What a caller asks for before it begins goes to the first step of the routine."""

LAST = (
    "outputContract",
    "assessmentRefs",
    "assessmentConsequences",
    "validationCriteria",
    "gives",
    "todoList",
    "jumpIf",
    "verification",
    "audit",
)
"""What must be true when it is done goes to the last one."""

EVERY = (
    "guidance",
    "promptFragments",
    "functionDefinitions",
    "functionCalls",
    "functionReferences",
)
"""What it says beside its text goes to all of them."""


def expanded(spec: Spec, routines: Mapping[str, Spec], faults: list[Fault]) -> Draft:
    """The spec's steps with every `templateCall` replaced.

    A call that cannot be followed is a fault, and stays where it is.
    """
    work = _Expansion(routines, faults, homes={spec.id: spec})
    steps: list[Placed] = []
    for placed in draft.of(spec):
        body = tuple(one for inner in placed.body for one in work.of(inner, inside=placed))
        steps.extend(work.of(replace(placed, body=body)))
    made = Draft(work.homes, tuple(steps))
    return made.each(lambda placed: _retargeted(placed, work.firsts))


@dataclass
class _Expansion:
    routines: Mapping[str, Spec]
    faults: list[Fault]
    homes: dict[str, Spec]
    firsts: dict[str, str] = field(default_factory=dict)
    """Id of a step that called a routine: the first step that now stands there."""

    def of(self, caller: Placed, inside: Placed | None = None) -> tuple[Placed, ...]:
        """The steps that stand for this one: itself, unless it calls a routine."""
        step = caller.step
        if not isinstance(step, Step) or step.templateCall is None:
            return (caller,)
        routine = self._found(caller, step.templateCall.templateId)
        if routine is None:
            return (caller,)
        self.homes.setdefault(routine.id, routine)
        steps = self._adapted(caller, step, routine)
        loop = next((one for one in steps if isinstance(one.step, LoopStep)), None)
        if inside and loop:
            said = f"routine {routine.id!r} has the loop {loop.step.title!r}, and loops do not nest"
            self._fault(caller, "nested-loop", said)
            return (caller,)
        self.firsts[step.id] = steps[0].step.id
        return steps

    def _found(self, caller: Placed, called: str) -> Spec | None:
        routine = _look_up(called, self.routines)
        if routine is None:
            said = f"there is no routine {called!r}{nearest(called, self.routines)}"
            self._fault(caller, "unknown-routine", said, "templateId")
            return None
        nested = next(_calls(routine), None)
        if nested is None:
            return routine
        circle = _circle(routine, self.routines)
        if circle:
            said = f"routines call each other in a circle: {' -> '.join(circle)}"
            self._fault(caller, "routine-cycle", said, "templateId")
        else:
            said = (
                f"routine {routine.id!r} calls another one, {nested!r}, which routines do not; "
                "call both from the spec"
            )
            self._fault(caller, "nested-routine", said, "templateId")
        return None

    def _fault(self, caller: Placed, rule: str, said: str, *below: str) -> None:
        message = f"step {caller.step.id!r}: {said}"
        path = caller.at("templateCall", *below)
        self.faults.append(Fault(path=path, rule=rule, message=message))

    def _adapted(self, caller: Placed, calling: Step, routine: Spec) -> tuple[Placed, ...]:
        """The routine's steps, named, filled and bound as the calling step says."""
        assert calling.templateCall is not None
        call = calling.templateCall
        inner = draft.of(routine, caller.at("templateCall"), called=True)
        names = {one.step.id for placed in inner for one in (placed, *placed.body)}
        missing: dict[str, None] = {}

        def adapted(placed: Placed, when: Condition | None) -> Placed:
            step = rewritten(_of_routine(placed.step, routine), filled, ())
            step = _of_caller(step, calling, when)
            # What holds for the loop holds for its passes.
            body = tuple(adapted(one, None) for one in placed.body)
            named: JsonObject = {"id": f"{calling.id}.{step.id}"}
            if isinstance(step, Step) and step.jumpIf:
                named["jumpIf"] = tuple(
                    jump.model_copy(update={"to": f"{calling.id}.{jump.to}"})
                    if jump.to in names
                    else jump
                    for jump in step.jumpIf
                )
            return replace(placed, step=step.model_copy(update=named), body=body)

        def filled(text: str, path: Path) -> str:
            if "functionDefinitions" in path:
                return text  # Its braces are the function's own parameters.
            text, unknown = templates.expanded(text, call.args)
            missing.update(dict.fromkeys(unknown))
            return _needs_filled(text, routine, call.args)

        steps = [adapted(placed, calling.runCondition) for placed in inner]
        for name in missing:
            said = f"routine {routine.id!r} wants the argument {name!r}"
            said += nearest(name, call.args) if call.args else "; write it into `args`"
            self._fault(caller, "missing-argument", said, "args")
        return self._bound(caller, calling, routine, steps)

    def _bound(
        self, caller: Placed, calling: Step, routine: Spec, steps: list[Placed]
    ) -> tuple[Placed, ...]:
        """What belongs to the whole of the call, on its first and its last step."""
        assert calling.templateCall is not None
        given = calling.templateCall.args
        needs = {name: kind for name, kind in routine.needs.items() if name not in given}
        before = _written(calling, FIRST)
        if needs:
            before["needs"] = {**needs, **calling.needs}
        after = _written(calling, LAST)
        if routine.gives:
            after["gives"] = {**routine.gives, **calling.gives}
        for position, what, fields in ((0, "begins", before), (-1, "ends", after)):
            placed = steps[position]
            if isinstance(placed.step, Step):
                steps[position] = placed.changed(_joined(placed.step, fields))
            elif fields:
                said = (
                    f"routine {routine.id!r} {what} with {placed.step.title!r}, which is no single "
                    f"step and cannot take {', '.join(fields)}"
                )
                self._fault(caller, "routine-ends", said)
        if calling.requireConfirmation is not False:
            last = steps[-1]
            steps[-1] = last.changed(requireConfirmation=calling.requireConfirmation)
        return tuple(steps)


def _look_up(called: str, routines: Mapping[str, Spec]) -> Spec | None:
    name = called.removeprefix(PREFIX)
    for known in (called, f"routine-{name}", f"wr.routine-{name}", name):
        if known in routines:
            return routines[known]
    return None


def _calls(routine: Spec) -> Iterator[str]:
    for placed in draft.of(routine):
        for one in (placed, *placed.body):
            if isinstance(one.step, Step) and one.step.templateCall:
                yield one.step.templateCall.templateId


def _circle(start: Spec, routines: Mapping[str, Spec]) -> list[str]:
    """Ids along a way of calls that leads to a routine it has passed; empty when there is none."""
    way: list[str] = [start.id]
    open_calls = [_calls(start)]
    done: set[str] = set()
    while open_calls:
        called = next(open_calls[-1], None)
        if called is None:
            done.add(way.pop())
            open_calls.pop()
            continue
        routine = _look_up(called, routines)
        if routine is None or routine.id in done:
            continue
        if routine.id in way:
            return [*way[way.index(routine.id) :], routine.id]
        way.append(routine.id)
        open_calls.append(_calls(routine))
    return []


def _of_routine(step: AnyStep, routine: Spec) -> AnyStep:
    """The step with what its routine says for all of them."""
    if not isinstance(step, Step):
        return step
    update: JsonObject = {}
    if routine.metaGuidance:
        update["guidance"] = (*routine.metaGuidance, *step.guidance)
    if routine.systemPrompt:
        update["systemPrompt"] = _paragraphs(routine.systemPrompt, step.systemPrompt)
    if step.modelTier is None and "modelTier" in routine.model_fields_set:
        update["modelTier"] = routine.modelTier
    return step.model_copy(update=update)


def _of_caller(step: AnyStep, calling: Step, when: Condition | None) -> AnyStep:
    """The step with what its caller says for all of them."""
    update: JsonObject = {}
    if when:
        both = (when, step.runCondition) if step.runCondition else None
        update["runCondition"] = Condition(**{"and": both}) if both else when
    if "notesOptional" in calling.model_fields_set:
        update["notesOptional"] = calling.notesOptional
    if isinstance(step, Step):
        update |= _written(calling, ("agentRole", "modelTier"))
        if calling.systemPrompt:
            update["systemPrompt"] = _paragraphs(step.systemPrompt, calling.systemPrompt)
        if calling.askForFiles:
            update["askForFiles"] = True
        step = _joined(step, _written(calling, EVERY))
    elif isinstance(step, LoopStep | ParallelStep) and calling.functionDefinitions:
        step = step.model_copy(
            update={
                "functionDefinitions": (*step.functionDefinitions, *calling.functionDefinitions)
            }
        )
    return step.model_copy(update=update)


def _written(calling: Step, names: tuple[str, ...]) -> JsonObject:
    """Fields of the calling step that say something."""
    return {name: value for name in names if (value := getattr(calling, name))}


def _joined(step: Step, fields: JsonObject) -> Step:
    """The step with more in its lists and tables; anything else is replaced."""
    update: dict[str, Any] = {}
    for name, value in fields.items():
        own = getattr(step, name)
        if isinstance(value, tuple):
            value = (*own, *(one for one in value if one not in own))
        elif isinstance(value, dict):
            value = {**own, **value}
        update[name] = value
    return step.model_copy(update=update)


def _needs_filled(text: str, routine: Spec, args: JsonObject) -> str:
    """A variable that the routine needs and the call gives is known here: it is put in."""

    def put(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in routine.needs or name not in args:
            return found[0]
        value = args[name]
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    return re.sub(r"\{\{\s*(?P<name>\w+)\s*\}\}", put, text)


def _paragraphs(*texts: str) -> str:
    return "\n\n".join(text for text in texts if text)


def _retargeted(placed: Placed, firsts: Mapping[str, str]) -> Placed:
    step = placed.step
    if not isinstance(step, Step) or not any(jump.to in firsts for jump in step.jumpIf):
        return placed
    return placed.changed(
        jumpIf=tuple(
            jump.model_copy(update={"to": firsts.get(jump.to, jump.to)}) for jump in step.jumpIf
        )
    )
