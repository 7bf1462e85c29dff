"""What a schema cannot see: names that lead nowhere, doubles, loops that cannot be steered."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from worktrain.contracts.spec import (
    ArtifactSource,
    Condition,
    ContextSource,
    LoopStep,
    ParallelStep,
    Spec,
    Step,
    Typed,
    ValidationRule,
)
from worktrain.contracts.tool import ARGUMENTS
from worktrain.engine import conditions, contracts_check, templates
from worktrain.engine.compile.draft import Draft, Placed
from worktrain.engine.compile.planned import (
    LOOP_CONTROL,
    Own,
    assessments,
    known_assessments,
    same_level,
    schemas,
    steered_by,
)
from worktrain.engine.context_check import RESERVED
from worktrain.engine.fault import Fault, Path, nearest
from worktrain.engine.notes_check import criteria_fault
from worktrain.engine.schemas import schema_fault

Found = Iterator[tuple[Path, str, str]]
"""Place below the step, rule, and what is wrong."""


def faults(draft: Draft, own: Own) -> Iterator[Fault]:
    """Everything that is wrong with a spec whose routines and texts are in place."""
    yield from _doubled_ids(draft)
    for path, rule, said in _of_spec(draft.spec):
        yield Fault(path=path, rule=rule, message=said)
    for placed in draft.walked():
        for check in CHECKS:
            for path, rule, said in check(placed, draft, own):
                message = f"step {placed.step.id!r}: {said}"
                yield Fault(path=placed.at(*path), rule=rule, message=message)


def _doubled_ids(draft: Draft) -> Iterator[Fault]:
    ids = Counter(placed.step.id for placed in draft.walked())
    seen: Counter[str] = Counter()
    for placed in draft.walked():
        name = placed.step.id
        seen[name] += 1
        # Told once, at the second one.
        if seen[name] == 2:
            said = f"step id {name!r} is used {ids[name]} times; ids must differ"
            yield Fault(path=placed.at("id"), rule="duplicate-step-id", message=said)


def _of_spec(spec: Spec) -> Found:
    yield from _doubles(spec, "assessments", "id", "duplicate-assessment")
    yield from _doubles(spec, "extensionPoints", "slotId", "duplicate-slot")
    yield from _doubles(spec, "references", "id", "duplicate-reference")
    yield from _doubles(spec, "functionDefinitions", "name", "duplicate-function")
    for at, assessment in enumerate(spec.assessments):
        for path, rule, said in _doubles(assessment, "dimensions", "id", "duplicate-dimension"):
            yield ("assessments", at, *path), rule, said
        for number, dimension in enumerate(assessment.dimensions):
            levels = [level.strip().casefold() for level in dimension.levels]
            if len(set(levels)) < len(levels):
                said = f"two levels of dimension {dimension.id!r} differ in nothing but their case"
                yield ("assessments", at, "dimensions", number, "levels"), "duplicate-level", said
    yield from _typed("needs", spec.needs)
    yield from _typed("gives", spec.gives)
    yield from _fixed("systemPrompt", spec.systemPrompt)


def _contract(placed: Placed, draft: Draft, own: Own) -> Found:
    contract = placed.step.outputContract if isinstance(placed.step, Step) else None
    if contract and contracts_check.kind_of(contract.contractRef, own) is None:
        known = [
            name.replace("wr.", "wr.contracts.", 1)
            for name in contracts_check.ARTIFACTS
            if name not in contracts_check.CONVENTIONS
        ]
        said = f"there is no contract {contract.contractRef!r}"
        said += nearest(contract.contractRef, (*known, *own))
        yield ("outputContract", "contractRef"), "unknown-contract", said


def _assessed(placed: Placed, draft: Draft, own: Own) -> Found:
    step = placed.step
    if not isinstance(step, Step):
        return
    known = known_assessments(draft, placed)
    for at, ref in enumerate(step.assessmentRefs):
        if ref not in known:
            said = f"there is no assessment {ref!r}{nearest(ref, known)}"
            yield ("assessmentRefs", at), "unknown-assessment", said
    if all(ref in known for ref in step.assessmentRefs):
        yield from _consequences(step, assessments(draft, placed))


def _consequences(step: Step, judged: Iterable[Any]) -> Found:
    levels = {one.id: [lv for d in one.dimensions for lv in d.levels] for one in judged}
    triggers: set[tuple[str, str | None]] = set()
    for at, consequence in enumerate(step.assessmentConsequences):
        path: Path = ("assessmentConsequences", at, "when")
        meant, about = consequence.when.anyEqualsLevel, consequence.when.forAssessment
        if not levels:
            said = "a consequence follows from an assessment; name one in `assessmentRefs`"
            yield path, "consequence-without-assessment", said
            continue
        if about is not None and about not in levels:
            said = f"the step has no assessment {about!r}{nearest(about, levels)}"
            yield (*path, "forAssessment"), "consequence-without-assessment", said
            continue
        possible = levels[about] if about else [one for every in levels.values() for one in every]
        if not any(same_level(one, meant) for one in possible):
            said = f"no dimension has the level {meant!r}{nearest(meant, possible)}"
            yield (*path, "anyEqualsLevel"), "unknown-level", said
        trigger = (meant.strip().casefold(), about)
        if trigger in triggers:
            said = f"the level {meant!r} has a consequence already; write one for both"
            yield path, "duplicate-trigger", said
        triggers.add(trigger)


def _jumps(placed: Placed, draft: Draft, own: Own) -> Found:
    if not isinstance(placed.step, Step) or not placed.step.jumpIf:
        return
    outside = [one.step.id for one in draft.steps]
    bodies = [[one.step.id for one in loop.body] for loop in draft.steps if loop.body]
    inside = next((body for body in bodies if placed.step.id in body), [])
    for at, jump in enumerate(placed.step.jumpIf):
        if jump.to in outside or jump.to in inside:
            continue
        path: Path = ("jumpIf", at, "to")
        if any(jump.to in body for body in bodies):
            said = f"{jump.to!r} is inside of another loop; jump to the loop itself"
            yield path, "jump-into-loop", said
        else:
            said = f"there is no step {jump.to!r} to jump to{nearest(jump.to, (*inside, *outside))}"
            yield path, "unknown-step", said


def _loop(placed: Placed, draft: Draft, own: Own) -> Found:
    step = placed.step
    if not isinstance(step, LoopStep):
        return
    if not placed.body:
        yield from _bodiless(step, draft)
        return
    rules = step.loop
    source = rules.conditionSource
    if (
        isinstance(source, ArtifactSource)
        and contracts_check.kind_of(source.contractRef, own) != LOOP_CONTROL
    ):
        said = f"a loop is steered by wr.contracts.loop_control, not by {source.contractRef!r}"
        yield ("loop", "conditionSource", "contractRef"), "wrong-loop-contract", said
    if rules.type in ("while", "until") and steered_by(placed, own) is None:
        said = (
            f"{'an' if rules.type == 'until' else 'a'} {rules.type} loop needs a `condition`, or a "
            "step in its body with the contract 'wr.contracts.loop_control'"
        )
        yield ("loop",), "loop-without-condition", said


def _bodiless(step: LoopStep, draft: Draft) -> Found:
    others = {one.step.id: one.step for one in draft.steps if one.step.id != step.id}
    if not isinstance(step.body, str):
        yield ("body",), "empty-loop", "the body of a loop needs a step at least"
    elif step.body == step.id or isinstance(others.get(step.body), LoopStep):
        said = f"its body {step.body!r} is a loop, and loops do not nest"
        yield ("body",), "nested-loop", said
    else:
        steps = [name for name, one in others.items() if not isinstance(one, LoopStep)]
        said = f"there is no step {step.body!r} for its body{nearest(step.body, steps)}"
        yield ("body",), "unknown-step", said


def _delegations(placed: Placed, draft: Draft, own: Own) -> Found:
    if not isinstance(placed.step, ParallelStep):
        return
    yield from _doubles(placed.step, "parallelDelegations", "name", "duplicate-delegation")
    for at, one in enumerate(placed.step.parallelDelegations):
        for number, tool in enumerate(one.allowedTools):
            if tool not in ARGUMENTS:
                said = f"there is no tool {tool!r}{nearest(tool, ARGUMENTS)}"
                yield ("parallelDelegations", at, "allowedTools", number), "unknown-tool", said
        yield from _reserved(("parallelDelegations", at, "gives"), one.gives)


def _doubled(placed: Placed, draft: Draft, own: Own) -> Found:
    step = placed.step
    if isinstance(step, Step):
        yield from _doubles(step, "promptFragments", "id", "duplicate-fragment")
        yield from _doubles(step, "questions", "id", "duplicate-question")
        yield from _doubles(step, "contextGather", "variable", "duplicate-source")
    yield from _doubles(step, "functionDefinitions", "name", "duplicate-function")


def _variables(placed: Placed, draft: Draft, own: Own) -> Found:
    step = placed.step
    if isinstance(step, Step):
        yield from _typed("needs", step.needs)
        yield from _typed("gives", step.gives)
        yield from _reserved(("gives",), step.gives)
        for at, question in enumerate(step.questions):
            yield from _reserved(("questions", at, "id"), (question.id,), named=False)
        for at, source in enumerate(step.contextGather):
            yield from _reserved(("contextGather", at, "variable"), (source.variable,), named=False)


def _system(placed: Placed, draft: Draft, own: Own) -> Found:
    if isinstance(placed.step, Step):
        yield from _fixed("systemPrompt", placed.step.systemPrompt)


def _patterns(placed: Placed, draft: Draft, own: Own) -> Found:
    """Regular expressions, and conditions that could never be evaluated."""
    for path, value in _models(placed.step, ()):
        if isinstance(value, Condition):
            if value.matches is not None:
                yield from _pattern((*path, "matches"), value.matches)
            # Exactly one level too many, so that it is told once.
            if _depth(value) == conditions.DEPTH_MAX + 1:
                said = f"conditions nest at most {conditions.DEPTH_MAX} levels deep"
                yield path, "deep-condition", said
        elif isinstance(value, ContextSource) and value.taskUrl:
            yield from _pattern((*path, "taskUrl"), value.taskUrl)


def _criteria(placed: Placed, draft: Draft, own: Own) -> Found:
    criteria = placed.step.validationCriteria if isinstance(placed.step, Step) else None
    if criteria is None:
        return
    whole = (("validationCriteria",), criteria)
    rules = [one for one in _models(criteria, whole[0]) if isinstance(one[1], ValidationRule)]
    # Where a single rule is wrong, that is the place to name.
    for path, value in (*rules, whole):
        written = value.model_dump(by_alias=True, exclude_unset=True, mode="json")
        if said := criteria_fault(written):
            yield path, "wrong-criteria", said
            return


CHECKS: tuple[Callable[[Placed, Draft, Own], Found], ...] = (
    _contract,
    _assessed,
    _jumps,
    _loop,
    _delegations,
    _doubled,
    _variables,
    _system,
    _patterns,
    _criteria,
)


def _doubles(owner: BaseModel, field: str, key: str, rule: str) -> Found:
    seen: set[str] = set()
    for at, one in enumerate(getattr(owner, field)):
        name = getattr(one, key)
        if name is not None and name in seen:
            yield (field, at, key), rule, f"{name!r} stands in `{field}` a second time"
        seen.add(name)


def _reserved(path: Path, names: Iterable[str], *, named: bool = True) -> Found:
    for name in names:
        if name in RESERVED:
            said = f"the variable {name!r} belongs to the system; choose another name"
            yield (*path, name) if named else path, "reserved-variable", said


def _typed(field: str, declared: Mapping[str, Typed]) -> Found:
    for name, schema in schemas(declared).items():
        if said := schema_fault(schema):
            yield (
                (field, name),
                "wrong-schema",
                f"{name!r} has no JSON Schema that can be used: {said}",
            )


def _fixed(field: str, text: str) -> Found:
    for name in templates.reads(text):
        said = (
            f"`{{{{{name}}}}}` cannot stand in a system prompt, which has to stay the same bytes; "
            "put it into the prompt of a step"
        )
        yield (field,), "template-in-system-prompt", said


def _pattern(path: Path, pattern: str) -> Found:
    if len(pattern) > conditions.PATTERN_CHARS_MAX:
        said = f"a regular expression has at most {conditions.PATTERN_CHARS_MAX} characters"
        yield path, "wrong-pattern", said
        return
    try:
        conditions.searched(pattern, "")
    except conditions.Unusable as error:
        yield path, "wrong-pattern", str(error)


def _depth(condition: Condition) -> int:
    below = (*(condition.and_ or ()), *(condition.or_ or ()), condition.not_)
    return 1 + max((_depth(one) for one in below if one is not None), default=0)


def _models(value: object, path: Path) -> Iterator[tuple[Path, BaseModel]]:
    """Every authored value inside of a step, and where it stands; those of a body left out."""
    if isinstance(value, BaseModel):
        yield path, value
        for name, field in type(value).model_fields.items():
            if name in value.model_fields_set and name != "body":
                yield from _models(getattr(value, name), (*path, field.alias or name))
    elif isinstance(value, tuple):
        for at, one in enumerate(value):
            yield from _models(one, (*path, at))
