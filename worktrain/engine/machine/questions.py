"""Questions to the operator: which one a step has to ask, and what an answer means."""

import json
from math import isfinite, nan
from typing import Any

from worktrain.contracts.base import JsonObject
from worktrain.contracts.plan import Ask
from worktrain.contracts.session import Question

YES = frozenset({"yes", "y", "true", "1"})
ASKED_AS = {
    "boolean": "boolean",
    "number": "number",
    "integer": "number",
    "array": "json",
    "object": "json",
}
NO = frozenset({"no", "n", "false", "0"})


def value_of(question: Question, text: str) -> Any:
    """The answer as a value of the question's type. Raises ValueError with what to answer."""
    said = text.strip()
    if not said:
        raise ValueError("an empty text is no answer")
    match question.type:
        case "text":
            return said
        case "boolean":
            if said.lower() in YES | NO:
                return said.lower() in YES
            raise ValueError("the question wants yes or no")
        case "number":
            try:
                number = float(said)
            except ValueError:
                number = nan
            if not isfinite(number):
                raise ValueError("the question wants a number")
            return int(number) if number.is_integer() else number
        case "json":
            return _json(said)
        case "choice":
            chosen = [one for one in question.options if one.lower() == said.lower()]
            if not chosen and said.isdecimal() and 1 <= int(said) <= len(question.options):
                chosen = [question.options[int(said) - 1]]
            if chosen:
                return chosen[0]
            raise ValueError(f"the question wants one of: {', '.join(question.options)}")


def asked(ask: Ask, number: int) -> Question:
    """An authored question as it is put; `number` tells two askings of it apart.

    A default that is no answer to it is left out: the question stays open then.
    """
    question = Question(
        id=f"{ask.variable}-{number}",
        text=ask.text,
        type=ask.type,
        options=ask.options,
        variable=ask.variable,
    )
    default = "" if ask.default is None else _said(ask.default)
    try:
        value_of(question, default)
    except ValueError:
        return question
    return question.model_copy(update={"deadline_s": ask.deadline_s, "default": default})


def about(variable: str, schema: JsonObject, step: str, number: int) -> Question:
    """What is asked when a step needs a variable that nothing gave."""
    kind, options = _type_of(schema)
    described = str(schema.get("description", "")).strip()
    shape = f" Answer in JSON that fits {json.dumps(schema)}." if kind == "json" else ""
    return Question(
        id=f"{variable}-{number}",
        text=(
            f"Step {step!r} needs to know {variable!r}, and nothing before it said so. "
            f"{described or 'What is it?'}{shape}"
        ),
        type=kind,
        options=options,
        variable=variable,
    )


def _json(said: str) -> Any:
    try:
        value = json.loads(said)
        # What cannot be written again, like NaN or half a character, cannot be kept either.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise ValueError("the question wants JSON; texts stand in double quotes") from None
    if value is None:
        raise ValueError("null is no answer")
    return value


def _type_of(schema: JsonObject) -> tuple[Any, tuple[str, ...]]:
    values = schema.get("enum")
    if isinstance(values, list) and values and all(isinstance(one, str) for one in values):
        return "choice", tuple(values)
    return ASKED_AS.get(str(schema.get("type")), "text"), ()


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
