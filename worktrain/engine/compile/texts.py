"""The words of a spec: the prompt of each step, and what stands in the system prompt."""

import json
from collections.abc import Iterable, Sequence

from worktrain.contracts.base import JsonObject
from worktrain.contracts.plan import Words
from worktrain.contracts.spec import (
    Assessment,
    Criteria,
    Dimension,
    Spec,
    Step,
    ValidationComposition,
    ValidationRule,
)
from worktrain.engine import contracts_check
from worktrain.engine.compile.draft import Draft, Placed
from worktrain.engine.compile.planned import (
    Own,
    asked,
    assessments,
    notes_required,
    same_level,
    schemas,
)
from worktrain.engine.prompt.fill import fill

ASSESSMENT = "wr.assessment"


def prompt(placed: Placed, number: int, steps: int, draft: Draft, words: Words, own: Own) -> str:
    """Everything that a step says, in WorkRail's order. `{{a.b}}` stay for the renderer.

    It is called the `number`th of `steps`; of neither when they are 0.
    """
    step = placed.step
    assert isinstance(step, Step)
    role = fill(words.role, role=step.agentRole) if words.role and step.agentRole else ""
    own_words = _joined(role, step.prompt or "")
    parts = [
        fill(words.step, number=number, steps=steps, title=step.title, prompt=own_words),
        fill(words.guidance, items=step.guidance) if words.guidance and step.guidance else "",
        words.files if step.askForFiles else "",
        fill(words.criteria, rules=_rules(step.validationCriteria))
        if words.criteria and step.validationCriteria
        else "",
        *_contracts(step, words, own),
        _assessments(step, assessments(draft, placed), words),
        fill(words.gives, variables=_variables(step)) if words.gives and step.gives else "",
        fill(words.todo, items=step.todoList) if words.todo and step.todoList else "",
        words.notes if notes_required(step) else "",
    ]
    return _joined(*parts)


def system(draft: Draft, words: Words) -> str:
    """What the spec says for all of its steps; of its routines only what they point out."""
    spec, homes = draft.spec, tuple(draft.homes.values())
    preconditions = _once(one for home in homes for one in home.preconditions)
    clarifications = _once(one for home in homes for one in home.clarificationPrompts)
    references: dict[str, JsonObject] = {}
    for one in (reference for home in homes for reference in home.references):
        references.setdefault(one.id, one.model_dump(mode="json"))
    parts = (
        spec.systemPrompt,
        fill(words.preconditions, items=preconditions)
        if words.preconditions and preconditions
        else "",
        fill(words.clarifications, items=clarifications)
        if words.clarifications and clarifications
        else "",
        fill(words.references, references=list(references.values()))
        if words.references and references
        else "",
        *spec.metaGuidance,
    )
    return "\n\n".join(part for part in parts if part.strip())


def contracts(draft: Draft, own: Own) -> dict[str, JsonObject]:
    """{schema, example} of each artifact kind that a step asks for or offers."""
    kinds: dict[str, None] = {}
    for placed in draft.walked():
        if isinstance(placed.step, Step):
            kinds.update(dict.fromkeys(kind for kind in asked(placed.step, own) if kind))
            if placed.step.assessmentRefs:
                kinds[ASSESSMENT] = None
    made = {kind: contracts_check.contract(kind, own) for kind in kinds}
    return {
        kind: {"schema": contract.json_schema, "example": contract.example}
        for kind, contract in made.items()
    }


def footer(spec: Spec, words: Words) -> str:
    """What the last step asks for besides, by the spec's metricsProfile."""
    return words.metrics.get(spec.metricsProfile, "").strip()


def _joined(*parts: str) -> str:
    return "\n\n".join(part.strip() for part in parts if part.strip())


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def _json(value: object) -> str:
    return json.dumps(value, indent=1)


def _contracts(step: Step, words: Words, own: Own) -> list[str]:
    wanted, offered = asked(step, own)
    parts = []
    if wanted:
        one = contracts_check.contract(wanted, own)
        schema, example = _json(one.json_schema), _json(one.example)
        parts.append(fill(words.deliver, kind=wanted, schema=schema, example=example))
    if offered and words.may_deliver:
        one = contracts_check.contract(offered, own)
        schema, example = _json(one.json_schema), _json(one.example)
        parts.append(fill(words.may_deliver, kind=offered, schema=schema, example=example))
    return parts


def _assessments(step: Step, wanted: Sequence[Assessment], words: Words) -> str:
    if not (words.assessments and wanted):
        return ""
    examples = [_example(one, step) for one in wanted]
    return fill(
        words.assessments,
        assessments=[one.model_dump(mode="json") for one in wanted],
        schema=_json(contracts_check.contract(ASSESSMENT).json_schema),
        example="\n\n".join(_json(one) for one in examples),
    )


def _example(assessment: Assessment, step: Step) -> JsonObject:
    return {
        "kind": ASSESSMENT,
        "assessmentId": assessment.id,
        "dimensions": {
            one.id: {
                "level": _example_level(one, step),
                "rationale": "What you saw that decides it.",
            }
            for one in assessment.dimensions
        },
    }


def _example_level(dimension: Dimension, step: Step) -> str:
    """A level of which it would be noticed that it was only copied from here."""
    # One with a consequence brings the question back, a flattering one would pass unseen. Without
    # any consequence the last one: most scales that grow begin with what is harmless.
    return next(
        (
            level
            for level in dimension.levels
            for one in step.assessmentConsequences
            if same_level(level, one.when.anyEqualsLevel)
        ),
        dimension.levels[-1],
    )


def _variables(step: Step) -> list[JsonObject]:
    return [
        {"name": name, "schema": json.dumps(schema, ensure_ascii=False)}
        for name, schema in schemas(step.gives).items()
    ]


def _rules(criteria: Criteria) -> list[str]:
    """Each rule of the criteria as a text; all of them have to hold."""
    if isinstance(criteria, ValidationRule):
        return [_rule(criteria)]
    assert isinstance(criteria, ValidationComposition)
    rules = [text for one in criteria.and_ or () for text in _rules(one)]
    if criteria.or_:
        rules.append("either " + ", or ".join(" and ".join(_rules(one)) for one in criteria.or_))
    if criteria.not_:
        rules.append("not: " + " and ".join(_rules(criteria.not_)))
    return rules


def _rule(rule: ValidationRule) -> str:
    least, most = rule.min, rule.max
    details = {
        "contains": f"contains {rule.value!r}" if rule.value else "",
        "regex": f"matches {rule.pattern}" if rule.pattern else "",
        "length": ", ".join(
            text
            for text in (
                f"at least {least} characters" if least is not None else "",
                f"at most {most} characters" if most is not None else "",
            )
            if text
        ),
        "schema": f"JSON that satisfies {json.dumps(rule.schema_)}" if rule.schema_ else "",
    }
    detail = details[rule.type]
    return f"{rule.message} ({detail})" if detail else rule.message
