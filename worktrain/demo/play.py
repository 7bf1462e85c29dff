"""Play the demo as a user would: real commands, real git, a scripted model over real HTTP."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TextIO

from worktrain.contracts.failure import AdapterError, FailureKind

MARK = ".worktrain-demo"
READY_S_MAX = 30


@dataclass(frozen=True)
class Stage:
    """Where the demo plays: all below one directory."""

    root: Path

    @property
    def repo(self) -> Path:
        return self.root / "till"

    @property
    def origin(self) -> Path:
        return self.root / "origin.git"

    @property
    def issue(self) -> Path:
        return self.root / "issue.md"

    @property
    def model_log(self) -> Path:
        return self.root / "model.jsonl"


def set_up(root: Path) -> Stage:
    """Make the sample repository with its origin, anew.

    Raises `AdapterError` conflict when the directory holds something that is not a demo's.
    """
    stage = Stage(root.resolve())
    if root.exists() and any(root.iterdir()) and not (root / MARK).exists():
        raise AdapterError(
            FailureKind.CONFLICT,
            f"{root} is not empty and no demo made it; name another directory with --dir",
        )
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    (root / MARK).touch()
    with as_file(files("worktrain.demo")) as source:
        shutil.copytree(source / "sample", stage.repo)
        shutil.copy(source / "issue.md", stage.issue)
    identity = ("-c", "user.name=Ada Example", "-c", "user.email=ada@example.com")
    _git(stage.repo, "init", "-q", "-b", "main")
    _git(stage.repo, "add", "-A")
    _git(stage.repo, *identity, "commit", "-q", "-m", "A small till")
    _git(stage.root, "init", "-q", "--bare", "-b", "main", str(stage.origin))
    _git(stage.repo, "remote", "add", "origin", str(stage.origin))
    _git(stage.repo, "push", "-q", "-u", "origin", "main")
    return stage


@contextmanager
def model_server(scenario: Path, log: Path) -> Iterator[str]:
    """The stand-in for a model on a free loopback port; yields its URL."""
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "worktrain.adapters.models.scripted_http"),
            *("--scenario", str(scenario), "--port", "0", "--log", str(log)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line:
            raise AdapterError(
                FailureKind.INTERNAL, "the demo's model server did not start; see above for why"
            )
        yield json.loads(line)["url"]
    finally:
        server.terminate()
        server.wait(timeout=READY_S_MAX)


def with_our_python(env: Mapping[str, str]) -> str:
    """A PATH on which `python` is the one that runs this, with the pytest beside it."""
    return os.pathsep.join((str(Path(sys.executable).parent), env.get("PATH", os.defpath)))


def play(root: Path, out: TextIO, env: Mapping[str, str]) -> int:
    """Set up, run the pipeline to its merge, show what came of it. The exit code of the run."""
    stage = set_up(root)
    with (
        as_file(files("worktrain.demo") / "scenario.yaml") as scenario,
        model_server(scenario, stage.model_log) as url,
    ):
        ours = {
            **env,
            "PATH": with_our_python(env),
            "WORKTRAIN_HOME": str(stage.root / "home"),
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": "the-demo-needs-no-key",
        }
        try:
            return _acts(stage, out, ours)
        finally:
            _worktrain(stage, out, ours, "down")


def _acts(stage: Stage, out: TextIO, env: Mapping[str, str]) -> int:
    out.write(f"\nThe issue ({stage.issue}):\n\n{stage.issue.read_text()}\n")
    code = _worktrain(stage, out, env, "run", "--issue", str(stage.issue))
    if code != 0:
        return code
    _git(stage.repo, "fetch", "-q", "origin", "main", "refs/notes/worktrain:refs/notes/worktrain")
    merged = _git(stage.repo, "rev-parse", "origin/main").strip()
    out.write("\nWhat was merged into origin/main:\n\n")
    out.write(_git(stage.repo, "diff", "--stat", "-p", "main", "origin/main"))
    out.write("\nThe proof, from the git note on the merged commit:\n\n")
    code = _worktrain(stage, out, env, "verify", merged)
    out.write(
        f"\nEverything is below {stage.root}: the repository in till, its origin, and WorkTrain's\n"
        f"state in home. The same with a real model, in a repository of yours:\n\n"
        f"    export ANTHROPIC_API_KEY=...\n"
        f"    worktrain init && git add .worktrain && git commit -m 'WorkTrain' && git push\n"
        f'    worktrain run "what you want done"\n\n'
    )
    return code


def _worktrain(stage: Stage, out: TextIO, env: Mapping[str, str], *arguments: str) -> int:
    out.write(f"$ worktrain {' '.join(arguments)}\n")
    out.flush()
    command = [sys.executable, "-m", "worktrain.cli.main", *arguments]
    return subprocess.run(command, cwd=stage.repo, env=dict(env), check=False).returncode


def _git(where: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments],
        cwd=where,
        env={**os.environ, "GIT_CONFIG_NOSYSTEM": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip() or "no reason given"
        raise AdapterError(FailureKind.INTERNAL, f"git {arguments[0]} failed in {where}: {said}")
    return done.stdout
