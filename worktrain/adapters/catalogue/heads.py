"""The beginning of a spec, read without the rest: enough to list it and to find it by its id."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

CHARACTERS_MAX = 600
"""Of one value; a longer one is no head's, and is refused when the spec is read."""
TAGS_MAX = 50

_NAMES = ("id", "name", "description", "version")
# Ten times as fast, where PyYAML was built with it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Head:
    id: str = ""
    name: str = ""
    description: str = ""
    version: str = ""
    tags: tuple[str, ...] = ()
    whole: bool = False
    """Whether the text could be gone through to its end."""


def head_of(text: str) -> Head:
    """What a spec says of itself at its outermost level; never raises. Empty where it says
    nothing, and what stood before the place where it could not be read any further."""
    found: dict[str, Any] = {}
    whole = True
    try:
        for key, value in _outermost(text):
            found.setdefault(key, value)
    except (yaml.YAMLError, ValueError, OverflowError):
        whole = False
    if not whole and not found:
        # JSON that is indented with tabs is no YAML.
        found, whole = _json(text)
    texts = {name: found[name] for name in _NAMES if _is_short(found.get(name))}
    tags = found.get("tags")
    kept = [tag for tag in tags if _is_short(tag)] if isinstance(tags, list) else []
    return Head(**texts, tags=tuple(kept[:TAGS_MAX]), whole=whole)


def _outermost(text: str) -> Iterator[tuple[str, Any]]:
    """Keys of the outermost mapping with their texts, or lists of texts. Raises ValueError for
    what no spec has there."""
    key: str | None = None
    items: list[str] | None = None
    depth, ended = 0, False
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
            if depth == 1:
                if key is not None and items is not None:
                    yield key, items
                key, items = None, None
        elif isinstance(event, yaml.NodeEvent):
            scalar = event.value if isinstance(event, yaml.ScalarEvent) else None
            begins = isinstance(event, yaml.CollectionStartEvent)
            if depth == 0 and (ended or not isinstance(event, yaml.MappingStartEvent)):
                raise ValueError("a spec is one set of keys")
            if depth == 1 and key is None:
                if scalar is None:
                    raise ValueError("a key of a spec is a text")
                key = scalar
            elif depth == 1 and not begins:
                if key is not None and scalar is not None:
                    yield key, scalar
                key = None
            elif depth == 1 and isinstance(event, yaml.SequenceStartEvent):
                items = []
            elif depth == 2 and items is not None and scalar is not None:
                items.append(scalar)
            depth += begins
        elif isinstance(event, yaml.DocumentEndEvent):
            ended = True


def _json(text: str) -> tuple[dict[str, Any], bool]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}, False
    return (found, True) if isinstance(found, dict) else ({}, False)


def _is_short(value: object) -> bool:
    return isinstance(value, str) and len(value) <= CHARACTERS_MAX
