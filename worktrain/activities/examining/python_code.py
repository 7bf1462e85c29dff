"""What a Python file imports and calls, and on which lines: read from its syntax, never run."""

import ast
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

_BREAK = re.compile(r"\r\n|\r|\n")
_SOURCES = frozenset({"src", "lib", "python"})
"""Folders whose name is no part of a module's."""
_ANNOTATING = frozenset({"isinstance", "issubclass", "cast"})
"""Calls that are given a class and do not call it."""
_IMPORTING = frozenset({"__import__", "import_module", "importlib.import_module"})

# Where a name is called, or handed on to be called. In an annotation it is neither.
_HANDED: dict[type[ast.AST], tuple[str, ...]] = {
    ast.Call: ("func", "args"),
    ast.keyword: ("value",),
    ast.Assign: ("value",),
    ast.AnnAssign: ("value",),
    ast.NamedExpr: ("value",),
    ast.Return: ("value",),
    ast.Lambda: ("body",),
    ast.IfExp: ("body", "orelse"),
    ast.Dict: ("values",),
    ast.List: ("elts",),
    ast.Tuple: ("elts",),
    ast.Set: ("elts",),
    ast.arguments: ("defaults", "kw_defaults"),
    ast.FunctionDef: ("decorator_list",),
    ast.AsyncFunctionDef: ("decorator_list",),
    ast.ClassDef: ("decorator_list",),
}


@dataclass(frozen=True)
class Named:
    """A full dotted name, and the lines that make it stand there."""

    name: str
    lines: tuple[int, ...]
    relative: bool = False
    """It was completed from the file's own path, which may begin above the package."""

    def within(self, wanted: str, below: bool) -> bool:
        """Whether it is the wanted name or, if asked, lies below it."""
        parts, sought = self.name.split("."), wanted.strip().split(".")
        for begin in range(len(parts) if self.relative else 1):
            if begin and len(sought) == 1 and parts[begin - 1] not in _SOURCES:
                continue
            rest = parts[begin:]
            if rest[: len(sought)] == sought and (below or len(rest) == len(sought)):
                return True
        return False


@dataclass
class Code:
    """The names of one file, as they are after every alias was followed."""

    imports: list[Named] = field(default_factory=list)
    uses: list[Named] = field(default_factory=list)


def read(text: str, path: str) -> Code | None:
    """The imports and uses of a file; None for one that is no Python of this version."""
    source = text.removeprefix("\ufeff")
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return _Reader(source, path).read(tree)


class _Reader:
    def __init__(self, source: str, path: str) -> None:
        # For Python a lone carriage return ends a line, for git it does not.
        ends = [found for found in _BREAK.finditer(source) if found[0] == "\r"]
        counted = [found.start() for found in _BREAK.finditer(source)]
        self._lone = [bisect_right(counted, found.start()) for found in ends]
        self._folder = [part for part in PurePosixPath(path).parts[:-1] if part != "/"]
        self._code = Code()
        self._bound: defaultdict[str, list[Named]] = defaultdict(list)
        self._stars: list[Named] = []

    def read(self, tree: ast.Module) -> Code:
        nodes = list(ast.walk(tree))
        for node in nodes:
            match node:
                case ast.Import():
                    self._import(node)
                case ast.ImportFrom():
                    self._import_from(node)
        assigned = [node for node in nodes if isinstance(node, ast.Assign)]
        for node in sorted(assigned, key=lambda one: one.lineno):
            self._alias(node)
        for node in nodes:
            if isinstance(node, ast.Call):
                self._called_by_text(node)
            for part in _handed(node):
                self._code.uses += self._resolved(part)
        return self._code

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            found = Named(alias.name, self._lines(alias))
            self._code.imports.append(found)
            if alias.asname:
                self._bound[alias.asname].append(found)
            else:
                root = alias.name.partition(".")[0]
                self._bound[root].append(Named(root, found.lines))

    def _import_from(self, node: ast.ImportFrom) -> None:
        relative = node.level > 0
        above = self._folder[: len(self._folder) - node.level + 1] if relative else []
        module = ".".join([*above, *([node.module] if node.module else [])])
        head = range(node.lineno, max(node.lineno, node.names[0].lineno - 1) + 1)
        for alias in node.names:
            lines = (*map(self._row, head), *self._lines(alias))
            if alias.name == "*":
                found = Named(module, lines, relative)
                self._stars.append(found)
            else:
                name = f"{module}.{alias.name}" if module else alias.name
                found = Named(name, lines, relative)
                self._bound[alias.asname or alias.name].append(found)
            self._code.imports.append(found)

    def _alias(self, node: ast.Assign) -> None:
        """`run = os.system` makes `run` another name of what was imported."""
        dotted = _dotted(node.value)
        if dotted and dotted.partition(".")[0] in self._bound:
            found = [
                Named(n.name, (*n.lines, *self._lines(node)), n.relative)
                for n in self._resolved(node.value)
            ]
            for target in node.targets:
                if isinstance(target, ast.Name):
                    self._bound[target.id] += found

    def _called_by_text(self, node: ast.Call) -> None:
        """`import_module("a.b")` and `getattr(os, "system")`."""
        texts = [arg.value if isinstance(arg, ast.Constant) else None for arg in node.args[:2]]
        names = {one.name for one in self._resolved(node.func)}
        if names & _IMPORTING and texts and isinstance(texts[0], str):
            self._code.imports.append(Named(texts[0], self._lines(node)))
        if "getattr" in names and len(texts) == 2 and isinstance(texts[1], str):
            for one in self._resolved(node.args[0]):
                name = f"{one.name}.{texts[1]}"
                lines = (*one.lines, *self._lines(node))
                self._code.uses.append(Named(name, lines, one.relative))

    def _resolved(self, node: ast.AST) -> list[Named]:
        """What a dotted expression stands for: several when a name was bound more than once."""
        dotted = _dotted(node)
        if not dotted:
            return []
        lines = self._lines(node)
        root, dot, rest = dotted.partition(".")
        if root in self._bound:
            return [
                Named(_plain(f"{one.name}{dot}{rest}"), (*lines, *one.lines), one.relative)
                for one in self._bound[root]
            ]
        starred = [
            Named(f"{star.name}.{dotted}", (*lines, *star.lines), star.relative)
            for star in self._stars
        ]
        return [Named(_plain(dotted), lines), *starred]

    def _lines(self, node: Any) -> tuple[int, ...]:
        """Every line that a part of the file's text stands on, as git counts them."""
        end = node.end_lineno or node.lineno
        return tuple(dict.fromkeys(self._row(line) for line in range(node.lineno, end + 1)))

    def _row(self, line: int) -> int:
        return line - bisect_right(self._lone, line - 1)


def _handed(node: ast.AST) -> Iterator[ast.AST]:
    fields = _HANDED.get(type(node), ())
    if isinstance(node, ast.Call) and _dotted(node.func).rpartition(".")[2] in _ANNOTATING:
        fields = ("func",)
    for name in fields:
        part = getattr(node, name)
        for one in part if isinstance(part, list) else [part]:
            if one is not None:
                yield one.value if isinstance(one, ast.Starred) else one


def _dotted(node: ast.AST) -> str:
    """`a.b.c`, or nothing for any other expression."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _plain(name: str) -> str:
    return name.removeprefix("builtins.").removeprefix("__builtins__.")
