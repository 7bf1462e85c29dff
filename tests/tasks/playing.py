"""Assignments, worked on by a WorkTrain of their own: real processes, real git, a scripted model.

What came of each is found out here, from a clean clone; nothing that WorkTrain claims is believed.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.tasks.assignment import Assignment, files_below, is_test
from tests.tasks.screenplay import scenario
from worktrain.demo.play import model_server, with_our_python

RUN_S_MAX = 900
CHECK_S_MAX = 120
NO_KEYS_OF_OURS = ("ANTHROPIC_", "WORKTRAIN_", "TEMPORAL_", "PYTEST_", "GIT_")
WHO = ("-c", "user.name=Ada Example", "-c", "user.email=ada@example.com")


@dataclass(frozen=True)
class Outcome:
    """What came of one assignment."""

    task: str
    pipeline: str
    """The one that was chosen; empty when none was."""
    ending: str
    """Empty when the command gave up before there was one."""
    why: str
    turns: int
    passes: int
    cost_usd: float
    minutes: float
    failed_before: bool
    """The tests of the merged commit fail on the program as it was."""
    pass_after: bool
    """They pass on the merged commit, in a clean clone."""

    @property
    def good(self) -> bool:
        return self.ending == "merged" and self.failed_before and self.pass_after


class Workshop:
    """One home with its server and worker, and a repository with its origin for each assignment."""

    def __init__(self, root: Path, env: Mapping[str, str]) -> None:
        self._root = root
        self._env = dict(env)

    def play(self, one: Assignment) -> Outcome:
        """Lead one assignment to its end."""
        place = self._root / one.name
        self._set_up(one, place)
        begun = time.monotonic()
        told, said = self._run(place)
        minutes = (time.monotonic() - begun) / 60
        before, after = self._look(one, place, told.get("merged_commit"))
        waits = (told.get("waiting") or {}).get("text", "")
        return Outcome(
            task=one.name,
            pipeline=(told.get("route") or {}).get("pipeline", ""),
            ending=told.get("ending") or "",
            why=told.get("why") or waits or said,
            turns=sum(phase["turns"] for phase in told.get("phases", ())),
            passes=sum(phase["phase"] == "fix" for phase in told.get("phases", ())),
            cost_usd=told.get("cost_usd", 0.0),
            minutes=minutes,
            failed_before=before,
            pass_after=after,
        )

    def worktrain(
        self, where: Path, *arguments: str, timeout_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "worktrain.cli.main", *arguments],
            cwd=where,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def _run(self, place: Path) -> tuple[dict[str, Any], str]:
        """What `run` printed as JSON, nothing where it printed none; and what it said beside it."""
        issue = str(place / "issue.md")
        try:
            done = self.worktrain(
                place / "repo", "run", "--issue", issue, "--json", timeout_s=RUN_S_MAX
            )
        except subprocess.TimeoutExpired:
            return {}, f"it did not come to an end within {RUN_S_MAX} s"
        try:
            return dict(json.loads(done.stdout)), done.stderr[-2000:]
        except ValueError:
            return {}, f"{done.stdout}{done.stderr}"[-2000:].strip() or "it said nothing"

    def _set_up(self, one: Assignment, place: Path) -> None:
        repo, origin = place / "repo", place / "origin.git"
        _write(files_below(one.program), repo)
        config = {
            "verify": [{"name": "tests", "run": one.check, "timeout_s": CHECK_S_MAX}],
            "merge": {"policy": "auto"},
        }
        _write(
            {".worktrain/config.yml": yaml.safe_dump(config), ".gitignore": "__pycache__/\n"}, repo
        )
        shutil.copy(one.issue, place / "issue.md")
        self._git(repo, "init", "-q", "-b", "main")
        self._git(repo, "add", "-A")
        self._git(repo, *WHO, "commit", "-q", "-m", "The program as it is")
        self._git(place, "init", "-q", "--bare", "-b", "main", str(origin))
        self._git(repo, "remote", "add", "origin", str(origin))
        self._git(repo, "push", "-q", "-u", "origin", "main")

    def _look(self, one: Assignment, place: Path, merged: str | None) -> tuple[bool, bool]:
        """Whether the merged tests fail on the program as it was, and pass on the merged one."""
        if merged is None:
            return False, False
        clone = place / "clone"
        self._git(place, "clone", "-q", "--branch", "main", str(place / "origin.git"), str(clone))
        if self._git(clone, "rev-parse", "HEAD").strip() != merged:
            return False, False
        after = self._passes(one, clone)
        tests = {path: text for path, text in files_below(clone).items() if is_test(path)}
        old = place / "as-it-was"
        _write({**files_below(one.program), **tests}, old)
        return not self._passes(one, old), after

    def _passes(self, one: Assignment, where: Path) -> bool:
        done = subprocess.run(
            shlex.split(one.check),
            cwd=where,
            env={**self._env, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            timeout=CHECK_S_MAX,
            check=False,
        )
        return done.returncode == 0

    def _git(self, where: Path, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=where,
            env={**self._env, "GIT_CONFIG_NOSYSTEM": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout


@contextmanager
def workshop(root: Path, assignments: Sequence[Assignment]) -> Iterator[Workshop]:
    """A WorkTrain that is up, below `root`, with a stand-in for a model that knows its parts."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / "scenario.yaml"
    path.write_text(yaml.safe_dump(scenario(assignments), sort_keys=False, allow_unicode=True))
    with model_server(path, root / "model.jsonl") as url:
        ours = {k: v for k, v in os.environ.items() if not k.startswith(NO_KEYS_OF_OURS)}
        made = Workshop(
            root,
            {
                **ours,
                "PATH": with_our_python(os.environ),
                "WORKTRAIN_HOME": str(root / "home"),
                "ANTHROPIC_BASE_URL": url,
                "ANTHROPIC_API_KEY": "none-is-needed",
            },
        )
        try:
            up = made.worktrain(root, "up")
            if up.returncode != 0:
                raise RuntimeError(f"`worktrain up` failed: {up.stdout}{up.stderr}")
            yield made
        finally:
            made.worktrain(root, "down")


def _write(files: Mapping[str, str], below: Path) -> None:
    for path, text in files.items():
        (below / path).parent.mkdir(parents=True, exist_ok=True)
        (below / path).write_text(text, encoding="utf-8")
