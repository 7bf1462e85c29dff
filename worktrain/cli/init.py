"""`init`: a first `.worktrain/config.yml`, with the check that the project seems to have."""

import asyncio
import json
import re
from pathlib import Path

import click

from worktrain.cli import screen
from worktrain.cli.exits import Exit
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import CONFIG_PATH, Limits, MergeRules, ModelNames

FILE_BYTES_MAX = 1_000_000

TEMPLATE = """\
# How WorkTrain works on this repository. It is read from the base branch, never from a branch
# under work: commit it, and bring it there.

# Branch that work starts from and is merged to; the remote's default branch when absent.
# base: main

# Checks that WorkTrain itself runs, on the base and on every candidate, before a merge.
{verify}

merge:
  # ask: a person approves every merge. auto: merged when review and checks pass.
  policy: {merge.policy}
  # Fix passes before a person is asked.
  passes_max: {merge.passes_max}

# Which model stands for which tier.
# models:
#   lightweight: {models.lightweight}
#   mid: {models.mid}
#   heavy: {models.heavy}

# What one session may use; reaching one of them is an ending of its own.
# limits:
#   turns_max: {limits.turns_max}
#   tokens_max: {limits.tokens_max}
#   cost_usd_max: {limits.cost_usd_max}
#   minutes_max: {limits.minutes_max}

# Your own rules of behaviour for agents.
# soul: |
#   Prefer small changes.

# sandbox:
#   network: false
#   read: []
"""
VERIFY = """\
verify:
  - name: {name}
    run: {run}
    timeout_s: 600"""
NO_VERIFY = """\
# None was recognised here. Without one a person has to approve every merge.
# verify:
#   - name: tests
#     run: make test
#     timeout_s: 600"""


@click.command()
@click.option(
    "--repo",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    help="Any path inside the repository.",
)
@screen.json_option
def init(repo: Path, as_json: bool) -> Exit:
    """Write a first .worktrain/config.yml, for you to look through and commit."""
    from worktrain import intake

    root = Path(asyncio.run(intake.root(repo)))
    check = guessed_check(root)
    path = _write(root, check)
    if as_json:
        screen.emit({"path": str(path), "verify": check and check[1]})
        return Exit.DONE
    screen.say(f"wrote {path}")
    screen.say(
        f"it verifies with: {check[1]}" if check else "it has no verify command yet: add one"
    )
    screen.say("look through it and commit it: WorkTrain reads it from the base branch")
    return Exit.DONE


def guessed_check(root: Path) -> tuple[str, str] | None:
    """Name and command of the check that a project's files speak of, if they speak of one."""
    pyproject = _read(root / "pyproject.toml")
    if "pytest" in pyproject or _read(root / "pytest.ini") or (root / "conftest.py").is_file():
        return "tests", "python -m pytest -q"
    if pyproject and (root / "tests").is_dir():
        return "tests", "python -m pytest -q"
    if _has_npm_test(_read(root / "package.json")):
        return "tests", "npm test"
    if re.search(r"^test\s*:(?!=)", _read(root / "Makefile"), re.MULTILINE):
        return "tests", "make test"
    if (root / "go.mod").is_file():
        return "tests", "go test ./..."
    if (root / "Cargo.toml").is_file():
        return "tests", "cargo test"
    return None


def _has_npm_test(package: str) -> bool:
    try:
        script = json.loads(package)["scripts"]["test"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    # What `npm init` writes.
    return isinstance(script, str) and "no test specified" not in script


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES_MAX).decode(errors="replace")
    except OSError:
        return ""


def _write(root: Path, check: tuple[str, str] | None) -> Path:
    path = root / CONFIG_PATH
    verify = VERIFY.format(name=check[0], run=check[1]) if check else NO_VERIFY
    doing = f"Writing {path}"
    if not (root / ".git").exists():
        raise AdapterError(
            FailureKind.MISCONFIGURED,
            f"{doing} failed: {root} is a bare repository; write it in a checkout and push it.",
        )
    if path.parent.is_symlink():
        # It could lead out of the repository.
        raise AdapterError(
            FailureKind.MISCONFIGURED, f"{doing} failed: {path.parent} is a symbolic link."
        )
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(
                TEMPLATE.format(
                    verify=verify, merge=MergeRules(), models=ModelNames(), limits=Limits()
                )
            )
    except FileExistsError as error:
        raise AdapterError(
            FailureKind.MISCONFIGURED,
            f"{doing} failed: it is there already; edit it, or move it away first.",
        ) from error
    except OSError as error:
        raise AdapterError(
            FailureKind.MISCONFIGURED, f"{doing} failed: {error.strerror}."
        ) from error
    return path
