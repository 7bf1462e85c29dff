"""JSON Schemas: can one be used, what of a value breaks it, what would satisfy it?

Source: JSON Schema, drafts 7 and 2020-12.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft7Validator, Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.validators import extend
from referencing import Registry

from worktrain.contracts.base import JsonObject
from worktrain.engine.blocker import MESSAGE_CHARS_MAX, in_json
from worktrain.engine.conditions import Unusable, one_line, searched

PROBLEMS_MAX = 5
FOLLOWED_MAX = 20_000
"""References followed for one value: a small schema can unfold to more than could be checked."""
_EXAMPLE_DEPTH_MAX = 8
_EXAMPLE_ITEMS_MAX = 20
_BY_FORMAT: Mapping[str, str] = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "email": "ada@example.org",
    "uri": "https://example.org/page",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
}

_DEFINITIONS: Mapping[type, tuple[str, ...]] = {
    Draft202012Validator: ("#/$defs/", "#/definitions/"),
    Draft7Validator: ("#/definitions/",),
}
_NAMING = ("properties", "$defs", "definitions", "dependentSchemas")
"""Keywords below which keys are names, not keywords."""
_PLAIN = ("const", "enum", "default", "examples")
"""Keywords that hold values, not schemas."""
_UNSUPPORTED = ("patternProperties", "$dynamicRef", "$recursiveRef")
_SELF_EXPLAINING = ("required", "additionalProperties", "dependentRequired")
_TYPES: Mapping[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def problems(schema: JsonObject, value: Any) -> tuple[str, ...]:
    """What of a value breaks a JSON Schema, each by its path; at most 5, empty when nothing does.

    A schema that cannot be used is broken by every value, and says so. Never raises, never goes
    outside for a reference.
    """
    unusable = schema_fault(schema)
    if unusable:
        return (f"its JSON Schema cannot be used, the spec must be corrected: {unusable}",)
    told: list[str] = []
    try:
        for error in _errors(schema, value):
            told.append(_problem(error))
            if len(told) == PROBLEMS_MAX:
                break
    except (ArithmeticError, ValueError, RecursionError) as error:
        return (one_line(f"it cannot be checked: {error}", 200),)
    return tuple(told)


def schema_fault(schema: Any) -> str:
    """Why a JSON Schema cannot be used, or nothing.

    References lead to the schema itself or to its definitions, patterns are those that
    `conditions.searched` takes, and names of properties are no patterns.
    """
    try:
        _drafted(schema).check_schema(schema)
        return next(_faults_in(schema, schema), "")
    except SchemaError as error:
        return one_line(f"{error.json_path}: {error.message}", MESSAGE_CHARS_MAX // 2)
    except RecursionError:
        return "it is nested too deeply"


def example_of(schema: Any) -> Any:
    """A value that shows what a JSON Schema asks for.

    The schema is one that can be used. The value satisfies plain schemas; where one asks for more
    (a pattern, for example), the author has to write `examples`. Descriptions stand where texts do.
    """
    return _example(schema, schema, 0)


def canonical(value: Any) -> str:
    """A value's one spelling as JSON. Raises ValueError, TypeError or RecursionError for others."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def untitled(schema: Any, *, names: bool = False) -> Any:
    """A schema without `title`, which pydantic writes everywhere and which tells a model nothing.

    `names`: it is a set of names, of which `title` may be one.
    """
    if isinstance(schema, list):
        return [untitled(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: one
        if key in _PLAIN and not names
        else untitled(one, names=key in _NAMING and not names)
        for key, one in schema.items()
        if names or key != "title"
    }


# --- checking -------------------------------------------------------------------------------


def _errors(schema: JsonObject, value: Any) -> Iterator[ValidationError]:
    base = _drafted(schema)
    followed = 0

    def follow(validator: Any, ref: Any, instance: Any, where: Any) -> Iterator[ValidationError]:
        nonlocal followed
        followed += 1
        if followed > FOLLOWED_MAX:
            raise Unusable(f"its schema's references unfold to more than {FOLLOWED_MAX:,}")
        yield from base.VALIDATORS["$ref"](validator, ref, instance, where)

    keywords = {"$ref": follow, "pattern": _pattern, "uniqueItems": _unique}
    checked = extend(base, keywords)  # type: ignore[no-untyped-call]
    # Where a schema names its draft, the library would go on with its own keywords.
    plain = {keyword: one for keyword, one in schema.items() if keyword != "$schema"}
    # An empty registry keeps the library from fetching what is not here.
    return iter(checked(plain, registry=Registry()).iter_errors(value))


def _pattern(validator: Any, pattern: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not searched(pattern, value):
        yield ValidationError("does not match")


def _unique(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    # The library compares each member with each other one.
    if wanted and isinstance(value, list) and len({*map(canonical, value)}) < len(value):
        yield ValidationError("has members that are equal")


def _problem(error: ValidationError) -> str:
    error = best_match([error]) or error
    path = error.json_path.removeprefix("$").removeprefix(".")
    return one_line(f"{path}: {_broken(error)}" if path else _broken(error), 200)


def _broken(error: ValidationError) -> str:
    wanted: Any = error.validator_value
    if error.validator == "type":
        types = " or ".join([wanted] if isinstance(wanted, str) else wanted)
        return f"must be {types}, not {_TYPES.get(type(error.instance), 'this')}"
    if error.validator in _SELF_EXPLAINING:
        return str(error.message)
    if error.validator is None:
        return "is not allowed here"
    return f"breaks `{error.validator}`: {in_json(wanted)}"


def _faults_in(node: Any, root: Any, *, names: bool = False) -> Iterator[str]:
    if isinstance(node, list):
        for inner in node:
            yield from _faults_in(inner, root)
    if not isinstance(node, dict):
        return
    for key, inner in node.items():
        if not names:
            if key in _PLAIN:
                continue
            if fault := _keyword_fault(key, inner, node is root, root):
                yield fault
        yield from _faults_in(inner, root, names=key in _NAMING and not names)


def _keyword_fault(key: str, value: Any, on_top: bool, root: Any) -> str:
    if key in _UNSUPPORTED:
        return f"`{key}` is not supported"
    if key in ("$id", "$schema") and not on_top:
        return f"`{key}` may only stand at the top"
    if key == "$ref" and _referred(value, root) is None:
        return f"`$ref` {one_line(repr(value), 100)} is not one of its own definitions"
    if key == "pattern" and isinstance(value, str):
        try:
            searched(value, "")
        except Unusable as error:
            return str(error)
    return ""


def _referred(ref: Any, root: Any) -> Any:
    """The schema that a reference leads to, or None."""
    if ref == "#":
        return root
    # Names that a reference would have to escape are left to other tools.
    start, slash, name = str(ref).rpartition("/")
    if start + slash in _DEFINITIONS[_drafted(root)] and not {*"%~"} & {*name}:
        return root.get(start.removeprefix("#/"), {}).get(name)
    return None


def _drafted(schema: Any) -> type[Draft7Validator] | type[Draft202012Validator]:
    named = schema.get("$schema") if isinstance(schema, dict) else None
    return Draft7Validator if "draft-07" in str(named) else Draft202012Validator


# --- examples -------------------------------------------------------------------------------


def _example(schema: Any, root: Any, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _EXAMPLE_DEPTH_MAX:
        return None
    if "const" in schema:
        return schema["const"]
    for keyword in ("examples", "enum"):
        if schema.get(keyword):
            return schema[keyword][0]
    # Where null is what is taken for a value that is left out, it shows nothing.
    if schema.get("default") is not None:
        return schema["default"]
    if "$ref" in schema:
        return _example(_referred(schema["$ref"], root), root, depth + 1)
    for keyword in ("anyOf", "oneOf"):
        if schema.get(keyword) and "properties" not in schema:
            forms = [one for one in schema[keyword] if one != {"type": "null"}]
            return _example(forms[0], root, depth + 1) if forms else None
    match _type(schema):
        case "object":
            return _example_object(schema, root, depth)
        case "array":
            count = min(max(schema.get("minItems", 1), 1), _EXAMPLE_ITEMS_MAX)
            return [_example(schema.get("items", {}), root, depth + 1) for _ in range(int(count))]
        case "string":
            return _example_text(schema)
        case "integer" | "number":
            return _example_number(schema)
        case "boolean":
            return True
    return None


def _type(schema: JsonObject) -> str:
    named = schema.get("type")
    if isinstance(named, list):
        return next((one for one in named if one != "null"), "null")
    if named is not None:
        return str(named)
    keys = {"object": ("properties", "required", "allOf"), "array": ("items", "minItems")}
    return next((of for of, signs in keys.items() if any(s in schema for s in signs)), "string")


def _example_object(schema: JsonObject, root: Any, depth: int) -> JsonObject:
    made: JsonObject = {}
    for part in schema.get("allOf", ()):
        inner = _example(part, root, depth + 1)
        made |= inner if isinstance(inner, dict) else {}
    properties = schema.get("properties", {})
    required = schema.get("required", ())
    # What may be left out is left out far below, where a schema could contain itself.
    names = [name for name in properties if name in required or depth < 2]
    for name in (*names, *(name for name in required if name not in properties)):
        made[name] = _example(properties.get(name, {}), root, depth + 1)
    return made


def _example_text(schema: JsonObject) -> str:
    text = _BY_FORMAT.get(str(schema.get("format"))) or schema.get("description") or "text"
    shortest = int(min(schema.get("minLength", 0), 2000))
    return str(text).ljust(shortest, ".")[: int(schema.get("maxLength", 2000))]


def _example_number(schema: JsonObject) -> int | float:
    step = schema.get("multipleOf", 1)
    low = schema.get("minimum", schema.get("exclusiveMinimum", -step) + step)
    high = schema.get("maximum", schema.get("exclusiveMaximum", low + 2 * step) - step)
    number: int | float = min(max(low, step), high)
    return number
