"""Defects planted into a copy of the package: each must be caught by the tool that is named."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.test_imports import ROOT, beyond_allowed, lint, unsteady


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package as it is, in a place of its own."""
    hidden = shutil.ignore_patterns("__pycache__", "*.pyc", "node_modules")
    for name in ("worktrain", "workflow_specs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=hidden)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def plant(copy: Path, path: str, *lines: str) -> None:
    """Append lines to a module of the copy."""
    with (copy / "worktrain" / path).open("a") as file:
        file.writelines(f"\n{line}\n" for line in lines)


def replace(copy: Path, path: str, old: str, new: str) -> None:
    """Change one place of the copy; it must be there exactly once."""
    file = copy / "worktrain" / path
    text = file.read_text()
    assert text.count(old) == 1, f"{path} has {old!r} {text.count(old)} times"
    file.write_text(text.replace(old, new))


def run(copy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A Python program that finds the copy instead of the package."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=copy,
        env={"PYTHONPATH": str(copy), "PATH": os.defpath, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


# --- import-linter ---------------------------------------------------------------------------

IMPORTS = """
floors       workflows.session        from worktrain.activities import model
floors       coordinators.context     from worktrain.engine import budget
floors       contracts.spec           from worktrain.coordinators import prove
floors       activities.model         from worktrain.workflows import ask
floors       telemetry                from worktrain import wiring
floors       adapters.stores.sql      from worktrain.activities import sandbox
floors       client                   from worktrain.cli import screen
pure         engine.machine           import os
pure         engine.budget            import subprocess
pure         engine.converse          from temporalio import workflow
pure         engine.compile           from pathlib import Path
pure         engine.prompt            import asyncio
pure         coordinators.prove       import socket
pure         coordinators.feature     from datetime import datetime
pure         coordinators.folding     import random
pure         coordinators.duties.ending import time
pure         contracts.task           import httpx2
pure         contracts.proof          import anthropic
order        workflows.ask            import random
order        workflows.pipeline       from worktrain.adapters.stores import Store
order        workflows.operated       import subprocess
order        workflows.lane           from worktrain.activities import lanes
concrete     activities.tool          from worktrain.adapters.shells.plain import PlainShell
concrete     activities.delivering    import worktrain.adapters.forges.local_git
concrete     client                   from worktrain.adapters.stores.sql import SqlStore
concrete     activities.sealing       from worktrain.adapters.signing.ed25519 import Ed25519Signer
systems      adapters.stores.tables   from worktrain.adapters.models import prices
systems      adapters.workspaces.git  from worktrain.adapters.forges import Forge
adapters     adapters.models.scripted import temporalio
adapters     adapters.shells.plain    from worktrain.engine import parse
adapters     adapters.reports.junit   from worktrain.coordinators import compare
activities   activities.opening       import sqlalchemy
activities   activities.door          import subprocess
edges        cli.exits                import temporalio
edges        cli.screen               from worktrain.adapters.stores import Store
edges        cli.main                 from worktrain.workflows import ask
circles      engine.parse             from worktrain.engine import prompt
circles      engine.prompt            from worktrain.engine import parse
"""
"""The rule that must break, the module, and the line in it that breaks it. The two of a circle
break their rule together."""


def planted_imports() -> Iterator[tuple[str, str, str, str]]:
    """Rule, path, line, and the two modules as import-linter joins them."""
    for row in IMPORTS.strip().splitlines():
        rule, module, line = row.split(maxsplit=2)
        words = line.split()
        imported = words[1]
        below = ROOT / imported.replace(".", "/")
        if words[0] == "from" and below.is_dir() and (below / f"{words[3]}.py").is_file():
            imported = f"{imported}.{words[3]}"
        link = f"worktrain.{module} -> {imported}"
        if rule == "circles":
            link = f".{module.rpartition('.')[2]}"
        yield rule, f"{module.replace('.', '/')}.py", line, link


def rules() -> dict[str, str]:
    """The id of every rule, by its name."""
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return {rule["name"]: rule["id"] for rule in linter["contracts"]}


def told_by_rule(output: str) -> dict[str, str]:
    """What import-linter says of each broken rule, by the rule's id."""
    names = rules()
    _, _, details = output.partition("Broken contracts\n")
    found: dict[str, str] = {}
    rule = ""
    for line in details.splitlines():
        rule = names.get(line, rule)
        found[rule] = f"{found.get(rule, '')}{line}\n"
    return found


def test_every_import_that_points_the_wrong_way_is_told_by_its_rule(copy: Path) -> None:
    for _, path, line, _ in planted_imports():
        plant(copy, path, line)
    done = lint(copy)
    assert done.returncode == 1, done.stdout + done.stderr
    told = told_by_rule(done.stdout)
    planted = [(rule, link) for rule, _, _, link in planted_imports()]
    assert [pair for pair in planted if pair[1] not in told.get(pair[0], "")] == []
    assert {rule for rule, _ in planted} == set(rules().values())


# --- our own tests -----------------------------------------------------------------------------


def test_an_import_that_nobody_forbade_by_name_is_beyond_the_allow_list(copy: Path) -> None:
    assert beyond_allowed(copy) == set()
    plant(copy, "engine/budget.py", "import mmap")
    plant(copy, "contracts/base.py", "from email.message import Message")
    plant(copy, "workflows/attributes.py", "import numpy.random")
    assert beyond_allowed(copy) == {
        "worktrain/engine/budget.py: mmap",
        "worktrain/contracts/base.py: email",
        "worktrain/workflows/attributes.py: numpy",
    }


def test_a_clock_dice_and_an_order_by_chance_in_a_workflow_are_seen(copy: Path) -> None:
    plant(
        copy,
        "workflows/attributes.py",
        "from datetime import datetime",
        "NOW = datetime.now()",
        "NAMES = [name for name in {'a', 'b'}]",
    )
    plant(
        copy,
        "workflows/ask.py",
        "def tidy(names: list[str]) -> None:",
        "    for name in set(names):",
        "        uuid.uuid4()",
    )
    found = {one.rpartition(": ")[2] for one in unsteady(copy)}
    assert found == {"now", "uuid4", "a set is gone through"}
    assert {one.partition(":")[0] for one in unsteady(copy)} == {
        "worktrain/workflows/ask.py",
        "worktrain/workflows/attributes.py",
    }


def test_a_required_field_added_to_what_is_kept_fails_its_test(copy: Path) -> None:
    replace(
        copy,
        "contracts/turn.py",
        "class ToolReply(Value):\n",
        "class ToolReply(Value):\n    planted: str\n",
    )
    tests = copy / "tests" / "house"
    tests.mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "house" / "test_calls.py", tests)
    done = run(copy, "-m", "pytest", "-p", "no:cacheprovider", "tests/house/test_calls.py")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "turn.ToolReply" in done.stdout
    assert "give a new field a default" in done.stdout
    assert "1 failed" in done.stdout


# --- import itself -----------------------------------------------------------------------------

PLANTED_CALL = 'PLANTED = Call[Nothing, Nothing]("planted", Nothing, Nothing)\n'


def test_a_call_without_limits_cannot_be_imported(copy: Path) -> None:
    replace(copy, "contracts/calls.py", "\nALL: ", f"\n{PLANTED_CALL}\nALL: ")
    done = run(copy, "-c", "import worktrain.workflows.ask")
    assert "ImportError: LIMITS and contracts.calls differ in ['planted']" in done.stderr


def test_limits_without_a_call_cannot_be_imported(copy: Path) -> None:
    row = "    calls.MERGE.name: Limits("
    replace(copy, "workflows/ask.py", row, f'    "planted": Limits(HEARTBEAT, 1),\n{row}')
    done = run(copy, "-c", "import worktrain.workflows.ask")
    assert "ImportError: LIMITS and contracts.calls differ in ['planted']" in done.stderr


def test_a_method_that_answers_with_another_type_cannot_be_imported(copy: Path) -> None:
    old = "async def rebase(self, request: RebaseRequest) -> RebaseReply:"
    replace(copy, "activities/delivering.py", old, old.replace("RebaseReply", "MergeReply"))
    done = run(copy, "-c", "import worktrain.activities.delivering")
    assert "TypeError: DeliveringActivities.rebase must take" in done.stderr


# --- ruff and mypy -----------------------------------------------------------------------------

SLIPS = {
    "TID252": "from . import budget",
    "T201": 'print("here")',
    "B006": "def gather(found: list[str] = []) -> None: ...",
    "E722": "try:\n    NAME = 1\nexcept:\n    NAME = 2",
    "RUF006": "async def go() -> None:\n    asyncio.create_task(go())",
    "S602": 'subprocess.run("ls", shell=True)',
    "PGH003": "NAME: int = 'x'  # type: ignore",
    "F821": "OTHER = unheard_of",
}


def test_ruff_tells_each_slip(copy: Path) -> None:
    plant(copy, "engine/budget.py", "import asyncio\nimport subprocess", *SLIPS.values())
    done = run(
        copy, "-m", "ruff", "check", "--no-cache", "--output-format=concise", "worktrain/engine"
    )
    assert [rule for rule in SLIPS if f" {rule} " not in done.stdout] == []


def test_mypy_tells_each_wrong_type(copy: Path) -> None:
    # A command that nobody carries out, an event that nobody folds in.
    replace(
        copy,
        "workflows/session.py",
        "                    case AskOperator(question=question):\n"
        "                        event = await self._answered(question)\n",
        "",
    )
    replace(
        copy,
        "coordinators/folding.py",
        "        case Posted(where=where):\n            return changed(state, posted=where)\n",
        "",
    )
    # The request of another call, a fact that is changed, a field that is not there.
    replace(copy, "workflows/pipeline.py", "                MERGE,\n", "                REBASE,\n")
    plant(copy, "engine/budget.py", "def spend(state: SessionState) -> None:\n    state.turn = 3")
    plant(
        copy,
        "coordinators/context.py",
        "def unread(state: PipelineState) -> str:\n    return state.candidat.tree",
    )
    done = run(
        copy,
        *("-m", "mypy", "--cache-dir", str(copy / "cache"), "--no-error-summary"),
        *("worktrain/coordinators", "worktrain/engine/budget.py", "worktrain/workflows"),
    )
    said = done.stdout
    for path, error in (
        ("workflows/session.py", 'has incompatible type "AskOperator"; expected "Never"'),
        ("coordinators/folding.py", 'has incompatible type "Posted"; expected "Never"'),
        ("workflows/pipeline.py", 'Cannot infer value of type parameter "Request" of "_ask"'),
        ("engine/budget.py", 'Property "turn" defined in "SessionState" is read-only'),
        ("coordinators/context.py", '"PipelineState" has no attribute "candidat"'),
    ):
        assert any(path in line and error in line for line in said.splitlines()), (error, said)
