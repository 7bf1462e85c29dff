"""Reads what a person wrote: YAML or JSON into a contract, or the lines that have to change."""

import json
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from worktrain.contracts.spec import SCHEMA_VERSION, Spec
from worktrain.engine.fault import Fault
from worktrain.engine.parse import explain, versions
from worktrain.engine.parse.document import BYTES_MAX, DEPTH_MAX, NODES_MAX, Document, document
from worktrain.engine.parse.problem import Problem, Unreadable, first, in_order, quoted

__all__ = [
    "BYTES_MAX",
    "DEPTH_MAX",
    "NODES_MAX",
    "Problem",
    "Unreadable",
    "located",
    "read",
    "read_spec",
]

M = TypeVar("M", bound=BaseModel)


def read(text: str, model: type[M], name: str) -> M:
    """Read one YAML or JSON document into `model`; an empty one has no keys.

    Raises `Unreadable` with every problem that was found. Values are never quoted in it: one
    of them may be a secret in the wrong place.
    """
    return _read(document(text, name), model)


def read_spec(text: str, name: str) -> tuple[Spec, tuple[Problem, ...]]:
    """Read a spec by the rules of its `schemaVersion`; without one by the present ones.

    One of a later schema is read as far as it is known here, and each key that is left out is a
    warning. One of an earlier schema may have no key that came later. Raises `Unreadable`.
    """
    told = document(text, name)
    version = versions.written(told.data)
    age = versions.age(version)
    if version is None or age == "same":
        return _read(told, Spec), ()
    if age == "newer":
        return _newer(told)
    found = [_placed(fault, told) for fault in versions.later(told.data, version)]
    try:
        spec = _validated(versions.dated(told.data, version), Spec)
    except ValidationError as error:
        raise Unreadable(first([*found, *explain.problems(error, Spec, told)])) from error
    if found:
        raise Unreadable(first(found))
    return spec, ()


def located(text: str, name: str, faults: Sequence[Fault]) -> tuple[Problem, ...]:
    """The faults with line and column: of their place, or of the nearest one above it.

    `text` is what the spec was read from; raises `Unreadable` when it cannot be taken apart.
    """
    told = document(text, name)
    return in_order(_placed(fault, told) for fault in faults)


def _read(told: Document, model: type[M]) -> M:
    try:
        return _validated(told.data, model)
    except ValidationError as error:
        raise Unreadable(first(explain.problems(error, model, told))) from error


def _validated(data: Any, model: type[M], extra: Literal["forbid", "ignore"] = "forbid") -> M:
    return model.model_validate_json(json.dumps(data), strict=True, extra=extra)


def _placed(fault: Fault, told: Document) -> Problem:
    return told.problem(fault.path, fault.message, fault.rule, fault.level)


def _newer(told: Document) -> tuple[Spec, tuple[Problem, ...]]:
    said = f"written for a newer schema than {SCHEMA_VERSION}, the one known here"
    warnings = [told.problem(("schemaVersion",), said, "newer-schema", "warning")]
    try:
        _validated(told.data, Spec)
    except ValidationError as error:
        warnings += [
            told.problem(
                path, f"key {quoted(str(path[-1]))} is not known here and is left out",
                "unknown-key", "warning", at_key=True,
            )
            for path in explain.unknown_keys(error, Spec)
        ]  # fmt: skip
    try:
        return _validated(told.data, Spec, "ignore"), in_order(warnings)
    except ValidationError as error:
        raise Unreadable(first(explain.problems(error, Spec, told))) from error
