"""Which way things point: the rules of pyproject.toml, and an allow-list for the pure part."""

import ast
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINTER = Path(sysconfig.get_path("scripts")) / "lint-imports"
PURE = frozenset(
    {"collections", "dataclasses", "difflib", "enum", "functools", "hashlib", "json", "math", "re"}
    | {"itertools"}
    | {"typing", "unicodedata", "jinja2", "jsonschema", "pydantic", "pydantic_core", "referencing"}
    | {"yaml"}
)
"""The standard library without IO, pydantic, a YAML reader, the libraries for templates and for
JSON Schema."""
ALLOWED = {
    "contracts": PURE,
    "engine": PURE,
    "coordinators": PURE,
    "workflows": PURE | {"asyncio", "contextlib", "datetime", "temporalio"},
}
UNSTEADY = frozenset(
    {"now", "utcnow", "today", "time", "time_ns", "monotonic", "perf_counter", "uuid4", "urandom"}
)
STEADY_OWNERS = frozenset({"workflow", "info"})
NO_NAMES = frozenset({"util", "utils", "helper", "helpers", "common", "misc", "tools_helpers"})


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the package in this directory."""
    return subprocess.run(
        [str(LINTER), "--no-cache", "--no-logo"],
        cwd=root,
        env={"PYTHONPATH": str(root), "PATH": "", "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def sources(root: Path, floor: str = "") -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((root / "worktrain" / floor).rglob("*.py")):
        # The demo's sample is a repository of its own.
        if "sample" not in path.parts:
            yield path.relative_to(root), ast.parse(path.read_text(), str(path))


def beyond_allowed(root: Path) -> set[str]:
    """What the pure part and the workflows import beyond their allow-lists and our own package."""
    found: set[str] = set()
    for floor, allowed in ALLOWED.items():
        for path, tree in sources(root, floor):
            for node in ast.walk(tree):
                names = (
                    [alias.name for alias in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module or ""]
                    if isinstance(node, ast.ImportFrom)
                    else []
                )
                roots = {name.partition(".")[0] for name in names} - {"worktrain"} - allowed
                found |= {f"{path}: {name}" for name in roots}
    return found


def unsteady(root: Path) -> set[str]:
    """Where a workflow reads a clock, throws dice, or goes through a set in no certain order."""
    found: set[str] = set()
    for path, tree in sources(root, "workflows"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = node.func.value
                ours = isinstance(owner, ast.Name) and owner.id in STEADY_OWNERS
                if node.func.attr in UNSTEADY and not ours:
                    found.add(f"{path}:{node.lineno}: {node.func.attr}")
            if isinstance(node, ast.For | ast.comprehension) and _is_set(node.iter):
                found.add(f"{path}: a set is gone through")
    return found


def _is_set(node: ast.expr) -> bool:
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(called, ast.Name) and called.id in ("set", "frozenset")


def test_the_import_rules_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_the_pure_part_imports_from_its_allow_list_alone() -> None:
    assert beyond_allowed(ROOT) == set()


def test_workflows_read_no_clock_throw_no_dice_and_keep_the_order() -> None:
    assert unsteady(ROOT) == set()


def test_every_file_says_first_what_it_is_for() -> None:
    silent = [path for path, tree in sources(ROOT) if not ast.get_docstring(tree)]
    assert silent == []


def test_no_module_is_named_for_nothing() -> None:
    named = [path for path, _ in sources(ROOT) if {path.stem, *path.parts} & NO_NAMES]
    assert named == []


@pytest.mark.parametrize("module", ["worktrain.contracts.calls", "worktrain.coordinators.feature"])
def test_the_pure_part_can_be_imported_without_anything_heavy(module: str) -> None:
    heavy = ["temporalio", "anthropic", "sqlalchemy", "httpx2", "click", "starlette"]
    code = f"import sys, {module}; print([one for one in {heavy} if one in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"
