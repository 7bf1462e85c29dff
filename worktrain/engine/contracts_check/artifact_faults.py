"""What pydantic has against an artifact, in words for the agent that delivered it."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from worktrain.engine.blocker import closest, in_json
from worktrain.engine.contracts_check.artifact_examples import EXAMPLES

Told = tuple[str, str, str]
"""Path below the artifact, what is wrong there, what to do."""


def told(kind: str, model: type[BaseModel], problem: ErrorDetails, raw: Mapping[str, Any]) -> Told:
    """One error of the model of this kind, about what was delivered."""
    path = _path(problem, raw)
    if problem["type"] == "extra_forbidden":
        fix = _known_fields(model, path)
    elif problem["type"] in ("enum", "literal_error"):
        fix = _one_of(problem)
    else:
        fix = problem.get("ctx", {}).get("fix") or _for_example(kind, path)
    where = "".join(f"[{part}]" if isinstance(part, int) else _field(part) for part in path)
    return where, _said(problem), fix


def _path(problem: ErrorDetails, raw: Any) -> list[str | int]:
    """Where it is in what was delivered; pydantic also names members of unions."""
    path: list[str | int] = []
    left = len(problem["loc"])
    for part in problem["loc"]:
        left -= 1
        known = range(len(raw)) if isinstance(raw, list | tuple) else raw
        if isinstance(known, range | dict) and part in known:
            raw = raw[part]
        elif left or problem["type"] != "missing":
            continue
        path.append(part)
    return path


def _field(name: str) -> str:
    return f".{name}" if re.fullmatch(r"\w+", name, re.ASCII) else f"[{json.dumps(name)}]"


def _said(problem: ErrorDetails) -> str:
    about, given = problem.get("ctx", {}), problem["input"]
    match problem["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "no such field"
        case "string_too_short" | "string_too_long" if isinstance(given, str):
            size = len(given.strip())
            if not size:
                return "is empty"
            if size > about.get("max_length", size):
                return f"has {size:,} characters; at most {about['max_length']:,} are taken"
            return f"has {size} characters; at least {about.get('min_length')} are needed"
        case "too_long":
            # What is counted stops soon after the limit.
            size = len(given) if isinstance(given, list | dict) else about["actual_length"]
            return f"has {size} entries; at most {about['max_length']} are taken"
        case "too_short":
            return f"has {about['actual_length']} entries; at least {about['min_length']} is needed"
        case "enum" | "literal_error":
            return f"{in_json(given, 80)} is not {about['expected']}"
    said = re.sub(r"^\w+ should ", "must ", problem["msg"].removeprefix("Value error, "))
    return f"{said}, not {in_json(given, 80)}" if problem["type"].endswith("_type") else said


def _one_of(problem: ErrorDetails) -> str:
    expected = str(problem.get("ctx", {}).get("expected", ""))
    near = closest(str(problem["input"]), re.findall(r"'([^']*)'", expected))
    return f"Did you mean {near!r}?" if near else f"Write {expected}."


def _known_fields(model: type[BaseModel], path: Sequence[str | int]) -> str:
    """What may be written instead of the unknown field at the end of a path."""
    *above, name = path
    places = [model]
    for part in above:
        inner = [place.model_fields[part] for place in places if part in place.model_fields]
        # Keys of a table and indexes are steps to the same models.
        if inner:
            places = [below for field in inner for below in _models_in(field.annotation)]
    known = [field for place in places for field in place.model_fields]
    near = closest(str(name), known)
    if near:
        return f"Did you mean {near!r}?"
    return f"Leave it out; known here: {', '.join(known)}." if known else "Leave it out."


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]


def _for_example(kind: str, path: Sequence[str | int]) -> str:
    """The value that the example has at a path; of a list, its first member."""
    example: Any = EXAMPLES[kind]
    for part in path:
        if isinstance(example, dict) and part in example:
            example = example[part]
        elif isinstance(example, list) and example and isinstance(part, int):
            example = example[0]
        else:
            return f"See the JSON Schema and the example of {kind}."
    return f"For example {in_json(example, 700)}."
