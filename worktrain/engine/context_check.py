"""Variables that a step gives: do they fit the session, and are they what the spec declared?

Everything wrong becomes a blocker that says what to give instead. Source: WorkRail, sections 1.9
and 2.8.
"""

from collections.abc import Mapping
from typing import Any

from worktrain.contracts.base import JsonObject
from worktrain.contracts.turn import Blocker, BlockerCode, Pointer
from worktrain.contracts.workspace import Limits
from worktrain.engine.blocker import blocker, in_json
from worktrain.engine.conditions import one_line
from worktrain.engine.schemas import canonical, example_of, problems, schema_fault

RESERVED = (
    "eat_token",
    "parent_eat_token",
    "metrics_harness",
    "metrics_active_model",
    "__proto__",
    "constructor",
    "prototype",
)
"""Names that no step may give or remove."""

LARGEST_TOLD = 3


def merged(context: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The variables after a step: what it gives replaces whole values, null removes one."""
    return {name: one for name, one in {**context, **given}.items() if one is not None}


def blockers_of(
    given: Mapping[str, Any], context_after: Mapping[str, Any], limits: Limits
) -> tuple[Blocker, ...]:
    """Why a step may not set these variables: names, values that are no JSON, depth, size.

    `context_after` is what `merged` would make of them. Never raises.
    """
    found = [_reserved(name) for name in given if name in RESERVED]
    sizes: dict[str, int] = {}
    for name, value in context_after.items():
        # Depth first: writing what is too deep would recurse.
        depth = 1 + _depth(value)
        if depth > limits.context_depth_max:
            found.append(_too_deep(name, depth, limits))
            continue
        try:
            sizes[name] = len(canonical({name: value}).encode()) - 1
        except (TypeError, ValueError, RecursionError):
            found.append(_noin_json(name))
    # Each is counted with one separator, and the braces hold one more than there are separators.
    size = sum(sizes.values()) + 1
    if size > limits.context_bytes_max:
        found.append(_too_large(size, sizes, limits))
    return tuple(found[: limits.blockers_max])


def missing(wanted: Mapping[str, JsonObject], context: Mapping[str, Any]) -> tuple[Blocker, ...]:
    """Declared variables that are absent, null or of another type, in the order declared."""
    found: list[Blocker] = []
    for name, schema in wanted.items():
        value = context.get(name)
        if value is None:
            code, said = BlockerCode.MISSING_CONTEXT_KEY, "is not given"
        elif wrong := problems(schema, value):
            code, said = BlockerCode.INVALID_CONTEXT_KEY, f"is wrong: {'; '.join(wrong)}"
        else:
            continue
        found.append(
            blocker(
                code,
                Pointer(kind="context_key", name=name),
                f"The context variable `{name}` {said}.",
                _how_to_give(name, schema),
            )
        )
    return tuple(found)


def _reserved(name: str) -> Blocker:
    return blocker(
        BlockerCode.INVALID_CONTEXT_KEY,
        Pointer(kind="context_key", name=name),
        f"The context variable `{name}` is reserved and cannot be set or removed.",
        "Leave it out of `context`, or give the value another name.",
    )


def _noin_json(name: str) -> Blocker:
    return blocker(
        BlockerCode.INVALID_CONTEXT_KEY,
        Pointer(kind="context_key", name=name),
        f"The context variable `{name}` is no JSON that can be stored.",
        "Give texts of valid Unicode and finite numbers; NaN and Infinity are none.",
    )


def _too_deep(name: str, depth: int, limits: Limits) -> Blocker:
    return blocker(
        BlockerCode.CONTEXT_BUDGET_EXCEEDED,
        Pointer(kind="context_budget", name=name),
        f"With the context variable `{name}` the context is {depth:,} levels deep; "
        f"{limits.context_depth_max} are allowed.",
        "Give it as a flatter list or object.",
    )


def _too_large(size: int, sizes: Mapping[str, int], limits: Limits) -> Blocker:
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))[:LARGEST_TOLD]
    told = ", ".join(f"`{one_line(name, 100)}` ({sizes[name]:,} bytes)" for name in largest)
    return blocker(
        BlockerCode.CONTEXT_BUDGET_EXCEEDED,
        Pointer(kind="context_budget", name=largest[0]),
        f"The context would have {size:,} bytes of JSON; {limits.context_bytes_max:,} are allowed.",
        f"The largest variables are {told}. Shorten them, remove one with null, or write long "
        f"texts to a file and give its path.",
    )


def _how_to_give(name: str, schema: JsonObject) -> str:
    wanted = f"Its JSON Schema: {in_json(schema)}"
    example = None if schema_fault(schema) else example_of(schema)
    # An example that breaks the schema would send the model astray.
    if example is None or problems(schema, example):
        return f"Give `{name}` in `context`. {wanted}"
    return f"Give it in `context`, for example {in_json({name: example})}. {wanted}"


def _depth(value: Any) -> int:
    """Lists and objects inside of one another; 0 for anything else."""
    depth = 0
    level = [value]
    while level := [one for one in level if isinstance(one, dict | list | tuple)]:
        depth += 1
        level = [
            inner for one in level for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return depth
