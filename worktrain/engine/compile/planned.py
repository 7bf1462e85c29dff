"""Steps as the machine walks them: what is decided on, without the texts."""

import re
from collections.abc import Mapping

from worktrain.contracts import plan, spec
from worktrain.contracts.base import JsonObject
from worktrain.contracts.plan import PlanStep
from worktrain.contracts.spec import Condition, LoopStep, OutputContract, ParallelStep, Step
from worktrain.engine import contracts_check, templates
from worktrain.engine.compile.draft import Draft, Placed

LOOP_CONTROL = "wr.loop_control"

Own = Mapping[str, JsonObject]
"""JSON Schema of each of the project's own artifact kinds."""


def planned(placed: Placed, draft: Draft, own: Own, prompts: Mapping[str, str]) -> PlanStep:
    """One step, with its body. `prompts` are the finished ones, by step id."""
    step = placed.step
    if isinstance(step, LoopStep):
        body = tuple(planned(one, draft, own, prompts) for one in placed.body)
        return _common(placed).model_copy(update={"loop": _loop(step, placed, body, own)})
    if isinstance(step, ParallelStep):
        texts = [text for one in step.parallelDelegations for text in _texts(one)]
        return _common(placed).model_copy(
            update={"parallel": _parallel(step), "reads": templates.reads("\n".join(texts))}
        )
    wanted, offered = asked(step, own)
    return _common(placed).model_copy(
        update={
            "contract": wanted,
            "offers": offered,
            "notes_required": notes_required(step),
            "synthesis_of": placed.synthesis_of,
            "assessments": tuple(_assessment(one) for one in assessments(draft, placed)),
            "consequences": tuple(
                _consequence(one, assessments(draft, placed)) for one in step.assessmentConsequences
            ),
            "criteria": step.validationCriteria.model_dump(
                by_alias=True, exclude_unset=True, mode="json"
            )
            if step.validationCriteria
            else None,
            "needs": schemas(step.needs),
            "gives": schemas(step.gives),
            "reads": templates.reads(prompts[step.id]),
            "fragments": tuple(
                plan.Fragment(id=one.id, when=_raw(one.when), reads=templates.reads(one.text))
                for one in step.promptFragments
            ),
            "todo": step.todoList,
            "asks": tuple(_ask(one) for one in step.questions),
            "gathers": tuple(
                plan.Source(
                    variable=one.variable,
                    paths=one.paths,
                    task_url=one.taskUrl,
                    required=one.required,
                )
                for one in step.contextGather
            ),
            "jumps": tuple(
                plan.Jump(when=one.condition.raw(), to=one.to, jumps_max=one.maxJumps)
                for one in step.jumpIf
            ),
            "model_tier": step.modelTier,
            "system": bool(step.systemPrompt),
        }
    )


def asked(step: Step, own: Own) -> tuple[str | None, str | None]:
    """The artifact kind that must be delivered, and the one that may be."""
    if step.outputContract is None:
        return None, None
    found = contracts_check.kind_of(step.outputContract.contractRef, own)
    return (found, None) if step.outputContract.required else (None, found)


def notes_required(step: Step) -> bool:
    """Notes are asked for where nothing else would show that the step was done."""
    return not (step.notesOptional or (step.outputContract and step.outputContract.required))


def assessments(draft: Draft, placed: Placed) -> list[spec.Assessment]:
    """Those that the step refers to: of the routine that it came with, or of the spec."""
    known = known_assessments(draft, placed)
    refs = placed.step.assessmentRefs if isinstance(placed.step, Step) else ()
    return [known[ref] for ref in dict.fromkeys(refs) if ref in known]


def known_assessments(draft: Draft, placed: Placed) -> dict[str, spec.Assessment]:
    homes = (draft.spec, draft.homes[placed.home])
    return {one.id: one for home in homes for one in home.assessments}


def steered_by(placed: Placed, own: Own) -> Condition | str | None:
    """What a while or until is steered by: a condition, or the name that an artifact gives it."""
    step = placed.step
    assert isinstance(step, LoopStep)
    source = step.loop.conditionSource
    if isinstance(source, spec.ArtifactSource):
        return source.loopId
    if source is not None:
        return source.condition
    contracts = [_contract(one) for one in placed.body]
    kinds = [contracts_check.kind_of(one.contractRef, own) for one in contracts if one]
    if LOOP_CONTROL in kinds:
        return step.id
    return step.loop.condition


def schemas(declared: Mapping[str, spec.Typed]) -> dict[str, JsonObject]:
    """The JSON Schema of each variable; a type's name stands for the schema of that type."""
    return {
        name: {"type": typed} if isinstance(typed, str) else typed
        for name, typed in declared.items()
    }


def _contract(placed: Placed) -> OutputContract | None:
    return placed.step.outputContract if isinstance(placed.step, Step) else None


def _common(placed: Placed) -> PlanStep:
    """What every step has. A loop and a parallel step have nothing to note themselves."""
    step = placed.step
    return PlanStep(
        id=step.id,
        title=step.title,
        notes_required=False,
        when=_raw(step.runCondition),
        confirm=_confirmation(step.requireConfirmation),
    )


def _raw(condition: Condition | None) -> JsonObject | None:
    return condition.raw() if condition else None


def _confirmation(wanted: spec.Confirmation) -> plan.Confirmation | None:
    if isinstance(wanted, spec.ConfirmationRule):
        return plan.Confirmation(kind=wanted.kind, when=_raw(wanted.condition))
    if isinstance(wanted, Condition):
        return plan.Confirmation(kind="coordinator_eval", when=wanted.raw())
    return plan.Confirmation(kind="coordinator_eval") if wanted else None


def _assessment(one: spec.Assessment) -> plan.Assessment:
    return plan.Assessment(
        id=one.id,
        dimensions=tuple(
            plan.Dimension(id=dimension.id, levels=dimension.levels, required=dimension.required)
            for dimension in one.dimensions
        ),
    )


def _consequence(one: spec.AssessmentConsequence, known: list[spec.Assessment]) -> plan.Consequence:
    levels = (
        level
        for assessment in known
        if one.when.forAssessment in (None, assessment.id)
        for dimension in assessment.dimensions
        for level in dimension.levels
    )
    meant = one.when.anyEqualsLevel
    redo = one.effect if isinstance(one.effect, spec.RequireRedo) else None
    return plan.Consequence(
        level=next((level for level in levels if same_level(level, meant)), meant),
        assessment=one.when.forAssessment,
        guidance=one.effect.guidance,
        recipe=redo.recipe if redo else (),
        redos_max=redo.maxRedos if redo else 1,
    )


def same_level(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


def _ask(one: spec.TypedQuestion) -> plan.Ask:
    return plan.Ask(
        variable=one.id,
        text=one.text,
        type=one.type,
        options=one.options,
        when=_raw(one.when),
        deadline_s=one.deadlineMinutes * 60 if one.deadlineMinutes else None,
        default=one.default,
    )


def _loop(step: LoopStep, placed: Placed, body: tuple[PlanStep, ...], own: Own) -> plan.Loop:
    rules = step.loop
    steered = steered_by(placed, own) if rules.type in ("while", "until") else None
    fields = [
        path.split(".")[1]
        for one in body
        for path in (*one.reads, *(path for part in one.fragments for path in part.reads))
        if path.startswith(f"{rules.itemVar}.")
    ]
    return plan.Loop(
        type=rules.type,
        passes_max=rules.maxIterations,
        when=steered.raw() if isinstance(steered, Condition) else None,
        contract=LOOP_CONTROL if isinstance(steered, str) else None,
        loop_id=steered if isinstance(steered, str) else step.id,
        items=rules.items if rules.type == "forEach" else None,
        count=rules.count if rules.type == "for" else None,
        iteration_var=rules.iterationVar,
        item_var=rules.itemVar,
        index_var=rules.indexVar,
        exit_when=_raw(rules.exitWhen),
        item_fields=tuple(dict.fromkeys(fields)) if rules.type == "forEach" else (),
        body=body,
    )


def _parallel(step: ParallelStep) -> plan.Parallel:
    return plan.Parallel(
        delegations=tuple(
            plan.Delegation(
                name=name,
                spec=one.workflowId,
                goal=one.goal,
                when=_raw(one.runCondition),
                context={child: path for path, child in one.contextMapping.items()},
                args=one.args,
                model_tier=one.modelTier,
                tools=one.allowedTools,
                gives=one.gives,
            )
            for name, one in zip(_names(step), step.parallelDelegations, strict=True)
        ),
        concurrency_max=step.maxConcurrency,
        on_failure=step.failPolicy,
        results=step.resultsVar,
        items=step.forEach.items if step.forEach else None,
        item_var=step.forEach.itemVar if step.forEach else "currentItem",
        index_var=step.forEach.indexVar if step.forEach else "currentIndex",
    )


def _names(step: ParallelStep) -> list[str]:
    """A name for each delegation: its own, or its spec's with a number where that is taken."""
    taken = {one.name for one in step.parallelDelegations if one.name}
    names: list[str] = []
    for one in step.parallelDelegations:
        stem = re.sub(r"[^a-z0-9]+", "-", one.workflowId.lower()).strip("-") or "session"
        name, number = one.name or stem, 1
        while not one.name and name in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name)
        names.append(name)
    return names


def _texts(one: spec.Delegation) -> list[str]:
    return [one.goal, *(value for value in one.args.values() if isinstance(value, str))]
