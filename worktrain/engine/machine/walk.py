"""Where a session goes next: conditions, loops, jumps, and what a step needs before it begins."""

import re
from collections import ChainMap
from collections.abc import Mapping, MutableMapping
from typing import Any

from worktrain.contracts.base import JsonObject
from worktrain.contracts.plan import Loop, PlanStep
from worktrain.contracts.session import (
    AskOperator,
    Confirm,
    Finish,
    Frame,
    Gather,
    GatherRequest,
    Question,
    RunChildren,
    SessionEnding,
    SessionState,
)
from worktrain.contracts.steering import Gate
from worktrain.contracts.trace import TraceKind
from worktrain.contracts.turn import Blocker, Pass, Steer, StepAccepted, StepPrompt
from worktrain.engine import conditions, context_check, templates
from worktrain.engine.converse import shortened
from worktrain.engine.machine import checkpoint, delegate, questions
from worktrain.engine.machine.tracing import changed, noted

MOVES_MAX = 10_000
"""Steps passed over in a row without one that needs anybody: WorkRail's guard."""
ITEM_MAX = 300
"""Characters of an item in the banner of a forEach."""
COUNT = re.compile("[0-9]{1,9}")
"""A number of passes as a text."""

Needed = AskOperator | Confirm | Gather | RunChildren | Finish


def arrive(state: SessionState) -> tuple[SessionState, Needed | None]:
    """Go on from where the session is until the agent, or somebody else, has something to do.

    None: the present step is ready to be said.
    """
    for _ in range(MOVES_MAX):
        if state.step >= len(state.opened.plan.steps):
            return _completed(state)
        step = here(state)
        if not state.arrived:
            reason = _skips(state, step)
            if reason is not None:
                state = _passed_over(state, step, reason)
                continue
            if (step.loop or step.parallel) and _waits_for_a_person(state, step):
                return noted(state, TraceKind.GATE, f"waits before {step.title!r}"), Confirm(
                    gate=Gate(id=step.id, text=f"Begin {step.title!r}?")
                )
            state = changed(state, arrived="admitted")
        if step.loop is not None:
            entered = _next_pass(state, step, step.loop, 1)
            if isinstance(entered, Finish):
                return state, entered
            state = entered
            continue
        if step.parallel is not None:
            moved, command = _delegations(state, step)
            if command is not None:
                return moved, command
            state = moved
            continue
        return _prepared(state, step)
    why = f"{MOVES_MAX:,} steps in a row were passed over; look at the loops and jumps there"
    return state, Finish(ending=SessionEnding.BLOCKED, why=why)


def here(state: SessionState) -> PlanStep:
    """The step that the session is at; in a loop the one of its body."""
    step = state.opened.plan.steps[state.step]
    return step.loop.body[state.frame.at] if step.loop and state.frame else step


def scope(state: SessionState) -> MutableMapping[str, Any]:
    """The variables as conditions and texts see them: those of a running loop come first."""
    loop = state.opened.plan.steps[state.step].loop if state.frame else None
    if loop is None or state.frame is None:
        return ChainMap(state.context)
    index = state.frame.iteration - 1
    variables: JsonObject = {loop.iteration_var: state.frame.iteration}
    if loop.type == "forEach":
        items = conditions.look_up(loop.items or "", state.context)
        if isinstance(items, list | tuple) and index < len(items):
            variables |= {loop.item_var: items[index], loop.index_var: index}
    return ChainMap(variables, state.context)


def leave(state: SessionState) -> SessionState:
    """The state behind the present step: a jump that is due, else the next one."""
    step = here(state)
    place = scope(state)
    for jump in step.jumps:
        key = f"{step.id}>{jump.to}"
        taken = state.jumped.get(key, 0)
        why = conditions.explained(jump.when, place)
        if not conditions.holds(jump.when, place):
            state = noted(state, TraceKind.CONDITION, f"no jump to {jump.to!r}: {why}")
        elif taken >= jump.jumps_max:
            said = f"no jump to {jump.to!r}, it was taken {taken} times already"
            state = noted(state, TraceKind.CONDITION, said)
        else:
            said = f"to {jump.to!r}, jump {taken + 1} of at most {jump.jumps_max}: {why}"
            state = noted(state, TraceKind.JUMPED, said)
            state = changed(state, jumped={**state.jumped, key: taken + 1})
            to = _place_of(state, jump.to)
            if state.frame and to["frame"] is None:
                node = state.opened.plan.steps[state.step].id
                state = noted(state, TraceKind.LOOP_LEFT, f"by the jump to {jump.to!r}", node)
            return _fresh(state, **to)
    return _beyond(state)


def admitted(state: SessionState, *, approved: bool, by: str, reason: str) -> SessionState:
    """The state after the gate in front of a loop or of delegations was answered."""
    said = f"{by} {'approved' if approved else 'refused'} it{f': {reason}' if reason else ''}"
    state = noted(state, TraceKind.GATE_ANSWERED, said)
    if approved:
        return changed(state, arrived="admitted")
    return _passed_over(state, here(state), said)


def wants_gate(state: SessionState, step: PlanStep) -> bool:
    """Whether the gate of a step is closed, with the variables as they are."""
    return step.confirm is not None and (
        step.confirm.when is None or conditions.holds(step.confirm.when, scope(state))
    )


def prompt_of(state: SessionState) -> StepPrompt:
    """What is said of the present step, with everything that its texts show."""
    step = here(state)
    place = scope(state)
    active = tuple(
        one for one in step.fragments if not one.when or conditions.holds(one.when, place)
    )
    paths = dict.fromkeys((*step.reads, *(path for one in active for path in one.reads)))
    return StepPrompt(
        step=step.id,
        values={path: templates.shown(path, place) for path in paths},
        fragments=tuple(one.id for one in active),
        in_pass=_pass_of(state),
    )


def said_step(state: SessionState) -> SessionState:
    """The state that says its present step next, with a checkpoint at it."""
    step = here(state)
    state = checkpoint.marked(state, step.id, step.title)
    state = noted(state, TraceKind.ENTERED, step.title)
    prompt = prompt_of(state)
    # What the operator said meanwhile comes last: it is newer than the step.
    heard = tuple(one for one in state.say if isinstance(one, Steer))
    told = tuple(one for one in state.say if not isinstance(one, Steer))
    if told and isinstance(told[-1], StepAccepted):
        told = (*told[:-1], told[-1].model_copy(update={"prompt": prompt}))
    else:
        told = (*told, prompt)
    return changed(state, say=(*told, *heard))


def pending_question(state: SessionState) -> Question | None:
    """What the operator has to be asked before the present step begins, if anything."""
    step = here(state)
    place = scope(state)
    number = state.traced + 1
    for ask in step.asks:
        known = ask.variable in place
        if not known and (ask.when is None or conditions.holds(ask.when, place)):
            return questions.asked(ask, number)
    sought = {one.variable: {"type": "string"} for one in step.gathers if one.required}
    needs = {**sought, **state.opened.plan.needs, **step.needs}
    for blocker in context_check.missing(needs, place):
        variable = blocker.pointer.name
        return questions.about(variable, needs[variable], step.title, number)
    return None


# --- ways ----------------------------------------------------------------------------------


def unfulfilled(state: SessionState) -> tuple[Blocker, ...]:
    """What the whole spec declares to give and has not."""
    return context_check.missing(state.opened.plan.gives, state.context)


def _completed(state: SessionState) -> tuple[SessionState, Finish]:
    plan = state.opened.plan
    # The last step's number stays readable: there is no step after it.
    state = changed(state, step=len(plan.steps) - 1, frame=None)
    missing = unfulfilled(state)
    if missing:
        why = f"{plan.spec} ran to its end without giving what it declares: {missing[0].message}"
        return state, Finish(ending=SessionEnding.BLOCKED, why=why)
    return state, Finish(ending=SessionEnding.COMPLETED, why=f"every step of {plan.spec} is done")


def _skips(state: SessionState, step: PlanStep) -> str | None:
    """Why the step is passed over, if it is."""
    if step.synthesis_of and step.synthesis_of == state.skipped:
        return f"{step.synthesis_of!r} did not run, so there is nothing to put together"
    if step.when is None:
        return None
    place = scope(state)
    if conditions.holds(step.when, place):
        return None
    return f"its condition is not met: {conditions.explained(step.when, place)}"


def _passed_over(state: SessionState, step: PlanStep, reason: str) -> SessionState:
    state = noted(state, TraceKind.SKIPPED, reason)
    if step.parallel:
        state = changed(state, skipped=step.id)
    return _beyond(state)


def _beyond(state: SessionState) -> SessionState:
    """The next place in order; at the end of a loop's body its next pass, or behind it."""
    if state.frame is None:
        return _fresh(state, step=state.step + 1)
    node = state.opened.plan.steps[state.step]
    assert node.loop is not None
    if state.frame.at + 1 < len(node.loop.body):
        frame = state.frame.model_copy(update={"at": state.frame.at + 1})
        return _fresh(state, frame=frame)
    after = _next_pass(state, node, node.loop, state.frame.iteration + 1)
    # What a first pass could begin with, a later one can too, or the loop is over.
    return _left(state, "its list is no longer one") if isinstance(after, Finish) else after


def _next_pass(
    state: SessionState, node: PlanStep, loop: Loop, iteration: int
) -> SessionState | Finish:
    """Begin a pass of a loop, or go on behind it; a Finish when it cannot even begin."""
    count = _passes(state, loop)
    if isinstance(count, str):
        why = f"the loop {node.title!r} cannot begin: {count}"
        return Finish(ending=SessionEnding.BLOCKED, why=why)
    if iteration > 1 and loop.exit_when is not None:
        place = scope(state)
        if conditions.holds(loop.exit_when, place):
            return _left(state, f"to be left when {conditions.explained(loop.exit_when, place)}")
    if count is not None and iteration > count:
        return _left(state, f"all {count} passes are done" if count else "there is nothing to do")
    if iteration > loop.passes_max:
        return _left(state, f"the most passes, {loop.passes_max}, are done")
    goes_on, why = _steering(state, loop)
    if not goes_on:
        return _left(state, why)
    if iteration == 1:
        state = noted(state, TraceKind.LOOP_ENTERED, why, node.id)
    state = _fresh(state, frame=Frame(iteration=iteration, at=0))
    return noted(state, TraceKind.PASS, f"pass {iteration} of at most {loop.passes_max}", node.id)


def _passes(state: SessionState, loop: Loop) -> int | str | None:
    """How many passes a for or forEach has; a text says what is wrong with its list or count."""
    if loop.type == "for":
        return _counted(loop.count, state) if isinstance(loop.count, str) else loop.count
    if loop.type != "forEach":
        return None
    items = conditions.look_up(loop.items or "", state.context)
    if not isinstance(items, list | tuple):
        return f"it needs the list {loop.items!r}, which is {_kind(items)}"
    wrong = next((one for one in items if not isinstance(one, Mapping)), None)
    if loop.item_fields and wrong is not None:
        fields = ", ".join(loop.item_fields)
        return f"its steps use {fields} of an item of {loop.items!r}, but one is {_kind(wrong)}"
    return len(items)


def _counted(name: str, state: SessionState) -> int | str:
    """The number that a variable holds, a text or 3.0 too; else what is wrong with it."""
    count: Any = conditions.look_up(name, state.context)
    if isinstance(count, str) and COUNT.fullmatch(count.strip()):
        return int(count)
    if isinstance(count, float) and count.is_integer() and count >= 0:
        return int(count)
    if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
        return count
    return f"its count {name!r} is {_kind(count)}, no whole number"


def _steering(state: SessionState, loop: Loop) -> tuple[bool, str]:
    """Whether a while or until goes on, and why; the others always do."""
    if loop.type in ("for", "forEach"):
        return True, "there is something to do"
    if loop.contract is not None:
        others = {
            name
            for one in state.opened.plan.steps
            if one.loop is not None and one.loop is not loop
            for name in (one.id, one.loop.loop_id)
            if name != loop.loop_id
        }
        if state.steered != "stop" or state.steered_loop in others:
            return True, "nothing has said stop"
        return False, "the newest step said stop"
    if loop.when is None:
        return True, "it has no condition"
    place = scope(state)
    holds = conditions.holds(loop.when, place)
    why = conditions.explained(loop.when, place)
    return (not holds, f"until {why}") if loop.type == "until" else (holds, f"while {why}")


def _left(state: SessionState, why: str) -> SessionState:
    node = state.opened.plan.steps[state.step]
    state = noted(state, TraceKind.LOOP_LEFT, why, node.id)
    return _fresh(state, frame=None, step=state.step + 1)


def _place_of(state: SessionState, target: str) -> dict[str, Any]:
    """Step and frame of a jump's target: a step of the same loop, or one outside of loops."""
    steps = state.opened.plan.steps
    node = steps[state.step]
    if state.frame and node.loop:
        for at, one in enumerate(node.loop.body):
            if one.id == target:
                return {"step": state.step, "frame": state.frame.model_copy(update={"at": at})}
    return {"step": next(i for i, one in enumerate(steps) if one.id == target), "frame": None}


def _fresh(state: SessionState, **place: Any) -> SessionState:
    """The state at another place, where nothing has been prepared yet."""
    return changed(state, **place, arrived="", redone={}, rejections=0, blocks=0)


# --- what a step needs before it begins ----------------------------------------------------


def _prepared(state: SessionState, step: PlanStep) -> tuple[SessionState, Needed | None]:
    if step.gathers and state.arrived != "gathered":
        unknown = tuple(one for one in step.gathers if one.variable not in state.context)
        if unknown:
            request = state.request
            return state, Gather(
                request=GatherRequest(
                    session=request.session,
                    repo=request.repo,
                    at=request.at,
                    task=request.task,
                    sources=unknown,
                )
            )
    state = changed(state, arrived="gathered")
    question = pending_question(state)
    if question is not None:
        state = noted(state, TraceKind.ASKED, question.text)
        return state, AskOperator(question=question)
    return state, None


def _delegations(state: SessionState, step: PlanStep) -> tuple[SessionState, Needed | None]:
    assert step.parallel is not None
    try:
        state, children = delegate.delegated(state, step, scope(state))
    except (delegate.TooMany, ValueError) as error:
        why = f"the step {step.title!r} cannot run its sessions: {error}"
        return state, Finish(ending=SessionEnding.BLOCKED, why=why)
    if not children:
        state = _passed_over(state, step, "none of its sessions is asked for")
        # A synthesis that has something to deliver delivers it all the same.
        return (changed(state, skipped="") if _delivers(state, step) else state), None
    return state, RunChildren(
        children=children,
        concurrency_max=step.parallel.concurrency_max,
        on_failure=step.parallel.on_failure,
    )


def _waits_for_a_person(state: SessionState, step: PlanStep) -> bool:
    """Before a loop or delegations there is nothing yet that anybody else could judge."""
    return bool(step.confirm and step.confirm.kind == "human_approval" and wants_gate(state, step))


def _delivers(state: SessionState, parallel: PlanStep) -> bool:
    following = here(state) if state.step < len(state.opened.plan.steps) else None
    return bool(following and following.synthesis_of == parallel.id and following.contract)


def _pass_of(state: SessionState) -> Pass | None:
    node = state.opened.plan.steps[state.step]
    if state.frame is None or node.loop is None:
        return None
    item = scope(state).get(node.loop.item_var) if node.loop.type == "forEach" else None
    return Pass(
        loop=node.title,
        number=state.frame.iteration,
        most=node.loop.passes_max,
        item="" if item is None else shortened(templates.shown("item", {"item": item}), ITEM_MAX),
    )


def _kind(value: Any) -> str:
    """The type of a value in an author's words."""
    if value is conditions.MISSING or value is None:
        return "missing"
    return next(name for types, name in KINDS if isinstance(value, types))


KINDS: tuple[tuple[Any, str], ...] = (
    (bool, "true or false"),
    (str, "a text"),
    ((int, float), "a number"),
    ((list, tuple), "a list"),
    (object, "an object"),
)
