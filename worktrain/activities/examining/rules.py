"""A workspace's architecture rules, run as code on the lines that a change adds."""

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic_core import SchemaValidator, core_schema

from worktrain.activities.examining import python_code
from worktrain.contracts.examination import AddedLine, FileChange, RuleBreak
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import CONFIG_PATH, ArchitectureRule
from worktrain.coordinators.scope import matches
from worktrain.engine.conditions import Unusable, searched

TEXT_CHARACTERS_MAX = 200
PYTHON = (".py", ".pyi", ".pyw")


@dataclass(frozen=True)
class _File:
    path: str
    added: Mapping[int, str]
    """The texts of the lines that count, by number."""
    code: python_code.Code | None


_Finder = Callable[[_File], Iterator[int]]
"""The lines of a file, among those that count, that break a rule."""


class Rules:
    """The rules of a workspace, made ready for many files.

    Raises AdapterError, misconfigured, for a pattern that cannot be used.
    """

    def __init__(self, rules: Sequence[ArchitectureRule]) -> None:
        self._rules = [(rule, _FINDERS[rule.kind](rule)) for rule in rules]

    def breaks(
        self, change: FileChange, added: Sequence[AddedLine], whole: str | None
    ) -> Iterator[RuleBreak]:
        """Every break of every rule that holds for the file; of one rule at most one a line.

        `whole` is its text where it could be read. A file that was renamed into the reach of a
        rule is looked at as if all of it were new.
        """
        if change.status == "deleted":
            return
        lines = {line.line: line.text for line in added}
        code = None
        if whole is not None and change.path.endswith(PYTHON):
            code = python_code.read(whole, change.path)
        for rule, find in self._rules:
            if not matches(change.path, rule.paths):
                continue
            count = lines
            if change.was and whole is not None and not matches(change.was, rule.paths):
                count = _every(whole)
            for line in dict.fromkeys(find(_File(change.path, count, code))):
                text = count[line].strip()[:TEXT_CHARACTERS_MAX]
                yield RuleBreak(
                    rule=rule.name, path=change.path, line=line, text=text, why=rule.why
                )


def _text(rule: ArchitectureRule) -> _Finder:
    try:
        searched(rule.forbids, "")
    except Unusable as error:
        raise AdapterError(
            FailureKind.MISCONFIGURED,
            f"Running the architecture rule {rule.name!r}: {error}; correct it in {CONFIG_PATH} "
            "on the base branch, and run the task again.",
        ) from error
    # The engine that never backtracks, made once for all lines.
    schema = core_schema.str_schema(pattern=rule.forbids, regex_engine="rust-regex")
    pattern = SchemaValidator(schema)
    return lambda file: (
        line for line, text in file.added.items() if pattern.isinstance_python(text)
    )


def _imports(rule: ArchitectureRule) -> _Finder:
    def find(file: _File) -> Iterator[int]:
        if file.code is not None:
            yield from _first_added(file, file.code.imports, rule.forbids, below=True)
            return
        for line, text in file.added.items():
            if any(_below(module, rule.forbids, file.path) for module in modules(text, file.path)):
                yield line

    return find


def _calls(rule: ArchitectureRule) -> _Finder:
    parts = [re.escape(part) for part in re.split(r"\.|::|->", rule.forbids) if part]
    # `eval` is not what `model.eval(...)` calls; `document.write` is what `window.` leads to.
    before = r"(?<![\w.$])" if len(parts) == 1 else r"(?<![\w$])"
    pattern = re.compile(before + r"\s?(?:\.|::|->)\s?".join(parts) + r"\s?!?\(")

    def find(file: _File) -> Iterator[int]:
        if file.code is not None:
            yield from _first_added(file, file.code.uses, rule.forbids, below=False)
            return
        for line, text in file.added.items():
            if not text.lstrip().startswith(("//", "# ")) and pattern.search(text):
                yield line

    return find


def _first_added(
    file: _File, names: Sequence[python_code.Named], forbids: str, below: bool
) -> Iterator[int]:
    for named in names:
        if named.within(forbids, below):
            line = next((line for line in named.lines if line in file.added), None)
            if line is not None:
                yield line


_FINDERS: Mapping[str, Callable[[ArchitectureRule], _Finder]] = {
    "import_boundary": _imports,
    "forbidden_call": _calls,
    "forbidden_text": _text,
}

# --- import lines of other languages ----------------------------------------------------------

_PROSE = (".md", ".rst", ".txt", ".adoc", ".markdown")
_PATHS_ONLY = (".js", ".jsx", ".ts", ".tsx", ".mjs", ".cjs", ".mts", ".cts", ".vue", ".svelte")
"""Modules have paths or names in quotes, in which a dot separates nothing."""
_ENDINGS = (*_PATHS_ONLY, ".json", ".rb", ".php", ".dart", ".h", ".hh", ".hpp", ".inc")
_BARE_IN = (
    *(".py", ".pyi", ".pyw", ".java", ".kt", ".kts", ".scala", ".groovy", ".rs", ".cs", ".fs"),
    *(".vb", ".php", ".swift", ".ex", ".exs", ".hs", ".ml", ".jl", ".pl", ".pm", ".nim", ".d"),
)
_QUOTED = re.compile(
    r"\b(?:from|import|require|require_relative|require_once|include|include_once|export|load"
    r"|source|part)\b\s?\(?\s?[\"'`<]([^\"'`>]{1,500})[\"'`>]"
)
_BARE = re.compile(
    r"\s*(?:@testable |global |pub(?:\([^()]*\))? )?"
    r"(?:import|use|using|alias|require|open|extern crate|from)\s+"
    r"(?:static |type |function |const |class |struct |enum |func |\w+\s?=\s?)?"
    r"\\?([\w@.:\\*{}, -]{1,500})"
)
_GO_BLOCK = re.compile(r'\s*(?:[\w.]+\s+)?"([^"\s]{1,500})"\s*(?://.*)?$')
_SEPARATOR = re.compile(r"[/\\]|::|\.(?=\w)")
_GROUP = re.compile(r"\{([^{}]*)\}")


def modules(text: str, path: str) -> list[str]:
    """What a line of some language imports, as it is written and, where that is relative to the
    file, as a path of the repository too."""
    if path.endswith(_PROSE):
        return []
    named = [found[1] for found in _QUOTED.finditer(text)]
    if path.endswith(".go") and (found := _GO_BLOCK.match(text)):
        named.append(found[1])
    if path.endswith(_BARE_IN) and not named and (found := _BARE.match(text)):
        named += _spread(found[1])
    # C looks beside the file for what it includes, whatever its name begins with.
    beside = [one for one in named if one.startswith(".") or "include" in text]
    folder = posixpath.dirname(path)
    return [*named, *(posixpath.normpath(posixpath.join(folder, one)) for one in beside)]


def _below(module: str, forbids: str, path: str) -> bool:
    """Whether a module is the forbidden one or lies below it."""
    plain = "/" in module or path.endswith(_PATHS_ONLY)
    parts, wanted = (
        [part for part in (name.split("/") if plain else _SEPARATOR.split(name)) if part]
        for name in (module.strip().removesuffix(".*"), forbids.strip())
    )
    if not wanted or len(parts) < len(wanted):
        return False
    *above, last = parts[: len(wanted)]
    # `src/db` forbids `src/db.ts` too: the same module with its ending.
    named, ending = posixpath.splitext(last)
    same = wanted[-1] in (last, named if ending in _ENDINGS else last)
    return above == wanted[:-1] and same


def _spread(written: str) -> list[str]:
    """The modules of a group: `a::{b, c::d}` names `a::b` and `a::c::d`."""
    while group := _GROUP.search(written):
        head, tail = written[: group.start()], written[group.end() :]
        begin = max(head.rfind(","), head.rfind("{")) + 1
        inner = ",".join(head[begin:].strip() + part.strip() for part in group[1].split(","))
        written = head[:begin] + inner + tail
    # What follows a blank is an alias, or another part of the statement.
    return [part.split()[0] for part in written.split(",") if part.strip()]


def _every(whole: str) -> dict[int, str]:
    return {line: text.removesuffix("\r") for line, text in enumerate(whole.split("\n"), 1)}
