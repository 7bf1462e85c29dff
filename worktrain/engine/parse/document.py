"""One YAML or JSON document: its data, and the line and column of everything in it."""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from worktrain.engine.fault import Path
from worktrain.engine.parse.problem import Problem, Unreadable, first, quoted, shortened

BYTES_MAX = 400_000
NODES_MAX = 8_000
"""A document at its bounds is read in less than a second; the largest spec we know has 600."""
DEPTH_MAX = 64

# YAML 1.2's core types in decimal: 12:30, 2026-01-01, 0x10, yes and .inf stay texts.
_NULL = re.compile(r"(?:~|null|Null|NULL|)", re.ASCII)
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)", re.ASCII)
_INT = re.compile(r"[-+]?[0-9]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_DIGITS_MAX = 300


@dataclass
class Document:
    name: str
    """Of its file."""
    data: Any = None
    values: dict[Path, yaml.Node] = field(default_factory=dict)
    keys: dict[Path, yaml.Node] = field(default_factory=dict)

    def problem(
        self,
        path: Path,
        message: str,
        rule: str,
        level: Literal["error", "warning"] = "error",
        *,
        at_key: bool = False,
    ) -> Problem:
        """A problem at a path, or at the nearest place above it that was written."""
        while path and path not in self.values:
            path, at_key = path[:-1], False
        node = self.keys.get(path) if at_key else None
        node = node or self.values.get(path)
        line, column = (node.start_mark.line, node.start_mark.column) if node else (0, 0)
        made = _problem(self.name, line, column, message)
        return made.model_copy(update={"rule": rule, "level": level})

    def plain(self, path: Path) -> bool:
        """Whether a scalar stands there without quotes."""
        node = self.values.get(path)
        return isinstance(node, yaml.ScalarNode) and node.style is None


def document(text: str, name: str) -> Document:
    """Take a text apart; an empty one has no keys.

    Raises `Unreadable` for what is no document, or would cost more than one may. Values are never
    quoted in it: one of them may be a secret in the wrong place.
    """
    root = _compose(text, name)
    return Document(name, {}) if root is None or _says_nothing(root) else _build(root, name)


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
    said = shortened(message)
    return Problem(file=name, line=line + 1, column=column + 1, message=said, rule="unreadable")


def _build(root: yaml.Node, name: str) -> Document:
    built = Document(name)
    problems: list[Problem] = []

    def refuse(node: yaml.Node, message: str) -> None:
        mark = node.start_mark
        problems.append(_problem(name, mark.line, mark.column, message))

    def build(node: yaml.Node, path: Path) -> Any:
        # Counted again here: an alias is one node in the text and a whole tree in the data.
        if len(built.values) >= NODES_MAX:
            refuse(node, f"more than {NODES_MAX:,} values once aliases are followed")
            raise Unreadable(first(problems))
        if len(path) >= DEPTH_MAX:
            refuse(node, f"nested more than {DEPTH_MAX} levels deep once aliases are followed")
            raise Unreadable(first(problems))
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
                refuse(key_node, f"key {quoted(key)} stands here a second time; see line {before}")
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

    built.data = build(root, ())
    if problems:
        raise Unreadable(first(problems))
    return built


def _says_nothing(root: yaml.Node) -> bool:
    return isinstance(root, yaml.ScalarNode) and root.style is None and root.value == ""
