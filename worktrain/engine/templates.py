"""Names in authored texts: `{{a.b}}` for a session's variables, `{arg}` for a routine's arguments.

Each text is read once: what is put in is never read as a template again. Source: WorkRail's
workflow schema, section 1.6.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from worktrain.engine.conditions import MISSING, look_up

_PATH = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*)\s*\}\}")
# One brace on either side, and no `${NAME}` of a shell.
_ARGUMENT = re.compile(r"(?<![{$])\{([A-Za-z_][A-Za-z0-9_-]*)\}(?!\})")
_OURS = "wr."
"""The compiler fills what begins so."""

_TYPES: Mapping[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "an array",
    tuple: "an array",
}


def reads(text: str) -> tuple[str, ...]:
    """The paths of its `{{a.b}}`, in order, without doubles; those of the compiler left out."""
    paths = (found[1] for found in _PATH.finditer(text))
    return tuple(dict.fromkeys(path for path in paths if not path.startswith(_OURS)))


def shown(path: str, context: Mapping[str, Any]) -> str:
    """What a path stands for: a text as it is, any other value as compact JSON.

    `[unset: a.b]` when there is no value or it is null; when the path goes through a value that
    has no such part, with that value's type: `[unset: a.b (a is a number)]`.
    """
    value = look_up(path, context)
    if value is not MISSING and value is not None:
        return _written(value)
    parts = path.split(".")
    for end in range(len(parts) - 1, 0, -1):
        above = ".".join(parts[:end])
        kind = _TYPES.get(type(look_up(above, context)))
        if kind:
            return f"[unset: {path} ({above} is {kind})]"
    return f"[unset: {path}]"


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with the value of every path; a path without one reads `[unset: a.b]`.

    Those of the compiler, and braces around anything but a path, stay as they are.
    """

    def value_of(found: re.Match[str]) -> str:
        path = found[1]
        return found[0] if path.startswith(_OURS) else values.get(path, f"[unset: {path}]")

    return _PATH.sub(value_of, text)


def expanded(text: str, args: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """A routine's text with its arguments, and the names of those that are missing, which stay.

    An argument that is null is missing. `{{a.b}}`, `${NAME}` and the braces of JSON are no
    arguments.
    """
    missing: list[str] = []

    def argument(found: re.Match[str]) -> str:
        value = args.get(found[1])
        if value is None:
            missing.append(found[1])
            return found[0]
        return _written(value)

    return _ARGUMENT.sub(argument, text), tuple(dict.fromkeys(missing))


def _written(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
