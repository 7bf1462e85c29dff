"""Lines of a change that a person must agree to, whatever else is true of it: one table."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from worktrain.activities.examining.dependencies import is_manifest, upgrades
from worktrain.contracts.examination import Changes

_CODE = re.compile(
    r"\.(py|pyi|pyw|js|jsx|ts|tsx|mjs|cjs|mts|cts|vue|svelte|go|rs|java|kt|kts|scala|groovy|rb|php"
    r"|cs|fs|vb|c|h|cc|cpp|cxx|hpp|m|mm|swift|ex|exs|erl|hs|ml|clj|lua|pl|pm|r|jl|dart|sh|bash|zsh"
    r"|ps1|sql|gradle|sol|nim|zig)$",
    re.IGNORECASE,
)


def sensitive(
    changes: Changes, before: Mapping[str, str], after: Mapping[str, str]
) -> Iterator[str]:
    """A sentence, without a full stop, about each such thing. `before` and `after` hold the
    manifests of dependencies on base and candidate."""
    for path, lines in changes.added.items():
        told: set[str] = set()
        for row in _ROWS:
            if row.what in told or not row.path.search(path):
                continue
            found = next((line for line in lines if row.line.search(line.text)), None)
            if found is not None:
                told.add(row.what)
                yield f"{path}:{found.line} {row.what}: {found.text.strip()[:120]}"
        if is_manifest(path):
            added = "\n".join(line.text for line in lines)
            if path in after:
                yield from upgrades(path, before.get(path), after[path], added)
            else:
                yield f"{path} names dependencies and is too large to be read"
    for path, why in changes.unread.items():
        if _CODE.search(path) or is_manifest(path):
            yield f"{path} was not examined in full ({why})"


@dataclass(frozen=True)
class _Row:
    path: re.Pattern[str]
    line: re.Pattern[str]
    what: str


def _row(path: str, line: str, what: str) -> _Row:
    return _Row(re.compile(path, re.IGNORECASE), re.compile(line, re.IGNORECASE), what)


_OBJECT = r"(?:table|index|view|column|type|schema|database|sequence|trigger|function|procedure)"
_ROWS: tuple[_Row, ...] = (
    _row(
        r"\.(?:sql|ddl|pgsql|psql)$",
        rf"\b(?:alter|drop|create|rename|truncate)\s+(?:[a-z]+\s+){{0,4}}{_OBJECT}\b",
        "changes the database schema",
    ),
    # Tests make tables of their own; anywhere else this is a migration by another name.
    _row(
        r"^(?!(?:.*/)?(?:tests?|specs?|__tests__|docs?)/)(?!.*\.(?:md|rst|txt)$)",
        r"\b(?:alter|drop)\s+table\b|\bop\.(?:add_column|drop_column|alter_column|drop_table)\(",
        "changes the database schema",
    ),
    _row(
        r"(?:^|/)(?:setup\.py|setup\.cfg)$",
        r"install_requires|extras_require|^\s*[\"']?[\w.-]+(?:\[[\w,]+\])?\s*(?:[<>=~!]=|[<>])\s*\d",
        "changes dependencies",
    ),
    # Who edits the reporter decides what the report says.
    _row(
        r"(?:^|/)(?:conftest\.py|[^/]*pytest[^/]*\.py)$",
        r"\bpytest_(?:runtest|collection|collect|ignore|report|terminal|session|pyfunc|cmdline"
        r"|configure|load|plugin|itemcollected|exception|deselected)\w*"
        r"|\bcollect_ignore|\bexitstatus\b|\bos\._exit\b|\bsys\.exit\b|\bjunit",
        "changes how tests are collected or reported",
    ),
    _row(
        r"(?:^|/)(?:pytest\.ini|\.pytest\.ini|tox\.ini|setup\.cfg|pyproject\.toml|noxfile\.py)$",
        r"\baddopts\b|\btestpaths\b|\bpython_(?:files|classes|functions)\b|\bnorecursedirs\b"
        r"|\bcollect_ignore|--deselect|--ignore\b|\bjunit|\bfail_under\b|\bxfail_strict\b",
        "changes how tests are collected or reported",
    ),
    _row(
        r"(?:^|/)(?:package\.json|(?:jest|vitest|karma|playwright|cypress|ava)[^/]*\.[cm]?[jt]sx?"
        r"|\.mocharc[^/]*|jest[^/]*\.json)$",
        r"\btest(?:Match|Regex|PathIgnorePatterns|Environment|Runner)\b|\breporters?\b"
        r"|\bpassWithNoTests\b|\bcoverageThreshold\b|\"(?:pre|post)?test(?::[\w-]+)?\"\s*:",
        "changes how tests are collected or reported",
    ),
    # A script of a package runs on every machine that installs it.
    _row(
        r"(?:^|/)package\.json$",
        r"\"(?:pre|post)?(?:install|prepare|publish)\"\s*:",
        "changes what installing the package runs",
    ),
    _row(
        r"",
        r"^Subproject commit [0-9a-f]{40,64}$",
        "moves a submodule to another commit",
    ),
)
