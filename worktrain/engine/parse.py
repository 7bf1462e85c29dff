"""Reads what a person wrote: YAML or JSON into a contract, or the lines that have to change."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from worktrain.contracts.base import JsonObject, Value

BYTES_MAX = 1_000_000
NODES_MAX = 50_000
DEPTH_MAX = 64
PROBLEMS_MAX = 20

M = TypeVar("M", bound=BaseModel)
Path = tuple[str | int, ...]


class Problem(Value):
    """One thing that is wrong, and where; lines and columns are counted from 1."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class Unreadable(Exception):
    """The text does not say what it should; `str()` has one line for each problem."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def read(text: str, model: type[M], name: str) -> M:
    """Read one YAML or JSON document into `model`; an empty one has no keys.

    Raises `Unreadable` with every problem that was found. Values are never quoted in it: one
    of them may be a secret in the wrong place.
    """
    built = _build(_compose(text, name), name)
    try:
        return model.model_validate_json(json.dumps(built.data), strict=True, extra="forbid")
    except ValidationError as error:
        schema = model.model_json_schema()
        found = [_explain(details, built, schema, name) for details in error.errors()]
        raise Unreadable(_first(found)) from error


def _first(found: Iterable[Problem]) -> tuple[Problem, ...]:
    problems = sorted(set(found), key=lambda problem: (problem.line, problem.column))
    left_out = len(problems) - PROBLEMS_MAX
    if left_out <= 0:
        return tuple(problems)
    last = problems[PROBLEMS_MAX]
    more = last.model_copy(update={"message": f"and {left_out} more problems from here on"})
    return (*problems[:PROBLEMS_MAX], more)


# --- text to nodes -------------------------------------------------------------------------


class _Refused(Exception):
    def __init__(self, mark: yaml.Mark, message: str) -> None:
        super().__init__(message)
        self.mark = mark
        self.message = message


class _Loader(yaml.SafeLoader):
    """Composes nodes only, and gives up before a document costs more than it may."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._nodes = 0
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        self._nodes += 1
        self._depth += 1
        if self._nodes > NODES_MAX:
            raise _Refused(event.start_mark, f"more than {NODES_MAX:,} values in one document")
        if self._depth > DEPTH_MAX:
            raise _Refused(event.start_mark, f"nested more than {DEPTH_MAX} levels deep")
        if getattr(event, "tag", None) is not None:
            raise _Refused(event.start_mark, "tags (!...) are not allowed; write the value itself")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _compose(text: str, name: str) -> yaml.Node | None:
    if len(text.encode(errors="surrogatepass")) > BYTES_MAX:
        raise Unreadable((_problem(name, 0, 0, f"longer than {BYTES_MAX:,} bytes"),))
    try:
        loader = _Loader(_spaced(text))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position)
        column = error.position - (text.rfind("\n", 0, error.position) + 1)
        said = f"character U+{_code(error.character):04X} is not allowed here; write an escape"
        raise Unreadable((_problem(name, line, column, said),)) from error
    try:
        node: yaml.Node | None = loader.get_single_node()
    except _Refused as error:
        said, mark = error.message, error.mark
    except yaml.MarkedYAMLError as error:
        said = ", ".join(part for part in (error.context, error.problem) if part)
        mark = error.problem_mark or error.context_mark or loader.get_mark()
    except (ValueError, OverflowError):
        # PyYAML lets these escape for an escape or a version number beyond all bounds.
        said, mark = "a number here is out of all bounds", loader.get_mark()
    else:
        return node
    finally:
        loader.dispose()
    raise Unreadable((_problem(name, mark.line, mark.column, said),))


def _spaced(text: str) -> str:
    """JSON may be indented with tabs, YAML may not. In valid JSON no text holds a raw tab."""
    if "\t" not in text or not text.lstrip().startswith(("{", "[")):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text.replace("\t", " ")


def _code(character: str | bytes | int) -> int:
    return character if isinstance(character, int) else ord(character)


def _problem(name: str, line: int, column: int, message: str) -> Problem:
    return Problem(file=name, line=line + 1, column=column + 1, message=_shown(message, 300))


def _shown(text: str, length_max: int) -> str:
    """One line that a terminal can be trusted with."""
    short = text if len(text) <= length_max else text[: length_max - 1] + "…"
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in short)


# --- nodes to data -------------------------------------------------------------------------

_NULL = re.compile(r"(?:~|null|Null|NULL|)", re.ASCII)
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)", re.ASCII)
_INT = re.compile(r"[-+]?[0-9]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
# YAML 1.2's core types in decimal: 12:30, 2026-01-01, 0x10, yes and .inf stay texts.

_DIGITS_MAX = 300


@dataclass
class _Built:
    data: Any
    values: dict[Path, yaml.Node]
    keys: dict[Path, yaml.Node]

    def nearest(self, location: tuple[str | int, ...]) -> Path:
        """The longest path that is really there. A location also names the members of unions,
        which no document has: those are stepped over."""
        path: Path = ()
        for part in location:
            if (*path, part) in self.values:
                path = (*path, part)
        return path


def _build(root: yaml.Node | None, name: str) -> _Built:
    built = _Built({}, {}, {})
    problems: list[Problem] = []

    def refuse(node: yaml.Node, message: str) -> None:
        mark = node.start_mark
        problems.append(_problem(name, mark.line, mark.column, message))

    def build(node: yaml.Node, path: Path) -> Any:
        # Counted again here: an alias is one node in the text and a whole tree in the data.
        if len(built.values) >= NODES_MAX:
            refuse(node, f"more than {NODES_MAX:,} values once aliases are followed")
            raise Unreadable(_first(problems))
        if len(path) >= DEPTH_MAX:
            refuse(node, f"nested more than {DEPTH_MAX} levels deep once aliases are followed")
            raise Unreadable(_first(problems))
        built.values[path] = node
        if isinstance(node, yaml.SequenceNode):
            return [build(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return build_mapping(node, path)
        assert isinstance(node, yaml.ScalarNode)
        return scalar(node)

    def build_mapping(node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                refuse(key_node, "a key has to be a text; put it in quotes if it is meant as one")
            elif key in mapping:
                before = built.keys[(*path, key)].start_mark.line + 1
                refuse(key_node, f"key {_name(key)} stands here a second time; see line {before}")
            else:
                built.keys[(*path, key)] = key_node
                mapping[key] = build(value_node, (*path, key))
        return mapping

    def scalar(node: yaml.ScalarNode) -> str | int | float | bool | None:
        text: str = node.value
        if node.style is None:
            if _NULL.fullmatch(text):
                return None
            if _BOOL.fullmatch(text):
                return text.lower() == "true"
            if _FLOAT.fullmatch(text):
                return number(node, text)
        try:
            # JSON writes a character beyond U+FFFF as two escapes, which PyYAML keeps apart.
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            refuse(node, "half of a surrogate pair is not a character")
            return ""

    def number(node: yaml.Node, text: str) -> int | float:
        if _INT.fullmatch(text) and len(text) <= _DIGITS_MAX:
            return int(text)
        value = float(text)
        if len(text) > _DIGITS_MAX or value in (float("inf"), float("-inf")):
            refuse(node, "this number is too large")
            return 0
        return value

    if root is not None and not _says_nothing(root):
        built.data = build(root, ())
    if problems:
        raise Unreadable(_first(problems))
    return built


def _says_nothing(root: yaml.Node) -> bool:
    return isinstance(root, yaml.ScalarNode) and root.style is None and root.value == ""


def _name(key: str) -> str:
    return f'"{_shown(key, 60)}"'


# --- what is wrong with the data ------------------------------------------------------------

_WANTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "model_type": "a set of keys",
    "dict_type": "a set of keys",
}


def _explain(details: ErrorDetails, built: _Built, schema: JsonObject, name: str) -> Problem:
    path = built.nearest(details["loc"])
    node = built.values.get(path)
    if details["type"] == "extra_forbidden":
        node = built.keys.get(path, node)
        message = _unknown(str(path[-1]), _known(schema, path[:-1]))
    elif details["type"] == "missing":
        message = _missing(str(details["loc"][-1]), path)
    else:
        message = f"{_place(path)}{_wanted(details, node)}"
    mark = node.start_mark if node else None
    return _problem(name, mark.line if mark else 0, mark.column if mark else 0, message)


def _unknown(key: str, known: list[str]) -> str:
    near = get_close_matches(key[:100], known, n=1, cutoff=0.5)
    if near:
        return f"unknown key {_name(key)}; did you mean {_name(near[0])}?"
    return f"unknown key {_name(key)}; known here: {', '.join(known) or 'none'}"


def _missing(key: str, path: Path) -> str:
    return f"{_place(path)}key {_name(key)} is missing"


def _wanted(details: ErrorDetails, node: yaml.Node | None) -> str:
    wanted = _WANTED.get(details["type"])
    if wanted is None:
        said = details["msg"].removeprefix("Value error, ")
        return said[:1].lower() + said[1:]
    quotes = isinstance(node, yaml.ScalarNode) and node.style is None and wanted == "a text"
    return f"{wanted} is wanted here" + ("; put it in quotes" if quotes else "")


def _place(path: Path) -> str:
    shown = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"{_shown(shown.removeprefix('.'), 100)}: " if path else ""


def _known(schema: JsonObject, path: Path) -> list[str]:
    """The keys that the schema knows at a path, over all members of unions on the way."""
    places = _members(schema, schema)
    for part in path:
        places = [m for place in places for m in _members(_below(place, part), schema)]
    return sorted({key for place in places for key in place.get("properties", {})})


def _below(place: JsonObject, part: str | int) -> JsonObject:
    if isinstance(part, str):
        found = place.get("properties", {}).get(part, place.get("additionalProperties", {}))
    else:
        fixed = place.get("prefixItems", [])
        found = fixed[part] if part < len(fixed) else place.get("items", {})
    return found if isinstance(found, dict) else {}


def _members(place: JsonObject, schema: JsonObject) -> list[JsonObject]:
    if "$ref" in place:
        return _members(schema["$defs"][place["$ref"].rpartition("/")[2]], schema)
    branches = [*place.get("anyOf", []), *place.get("oneOf", []), *place.get("allOf", [])]
    return [place, *(member for branch in branches for member in _members(branch, schema))]
