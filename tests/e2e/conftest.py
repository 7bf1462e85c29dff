"""A stage for whole pipelines: real processes, real git, real HTTP, a scripted model."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from worktrain import access
from worktrain.cli.standing import facts
from worktrain.contracts.failure import AdapterError
from worktrain.demo.play import Stage, model_server, set_up, with_our_python
from worktrain.settings import load

UNTIL_S_MAX = 150
"""Long enough for a few recoveries of ten seconds each on a busy machine."""
DEMO = Path(__file__).parents[2] / "worktrain" / "demo"


@dataclass
class Theatre:
    """A sample repository, and a WorkTrain home of its own whose processes it can end."""

    stage: Stage
    env: dict[str, str]
    _started: list[subprocess.Popen[str]] = field(default_factory=list)

    def worktrain(
        self, *arguments: str, code: int | None = None, timeout_s: float = 240
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; with `code`, insist on that exit code."""
        done = subprocess.run(
            [sys.executable, "-m", "worktrain.cli.main", *arguments],
            cwd=self.stage.repo,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if code is not None:
            assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments: str, code: int | None = 0) -> Any:
        """Run a command with --json and read what it prints."""
        return json.loads(self.worktrain(*arguments, "--json", code=code).stdout)

    def until(self, pipeline: str, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until a pipeline stands as wanted, in the words of `status --json`.

        Asked in this process: a new interpreter for each look would be most of the load.
        """
        return asyncio.run(self._until(pipeline, true))

    async def _until(self, pipeline: str, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        settings = load(self.env)
        status: dict[str, Any] = {}
        deadline = time.monotonic() + UNTIL_S_MAX
        while time.monotonic() < deadline:
            # A new connection each time: the server may be one that was just started again.
            with suppress(AdapterError):
                async with access.reach(settings, self.env) as client:
                    status = facts(pipeline, await client.view(pipeline))
            if status and true(status):
                return status
            await asyncio.sleep(0.3)
        raise AssertionError(f"not within {UNTIL_S_MAX} s; last seen: {status}")

    def ended(self, pipeline: str) -> dict[str, Any]:
        """Wait for the end of a pipeline."""
        return self.until(pipeline, lambda status: status["ending"] is not None)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Run a command beside the test."""
        process = subprocess.Popen(
            [sys.executable, "-m", "worktrain.cli.main", *arguments],
            cwd=self.stage.repo,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def git(self, *arguments: str, where: Path | None = None) -> str:
        return subprocess.run(
            ["git", *arguments],
            cwd=where or self.stage.repo,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    def commit(self, message: str, where: Path | None = None) -> str:
        """Commit everything in a checkout, as a colleague would."""
        who = ("-c", "user.name=Ada Example", "-c", "user.email=ada@example.com")
        self.git("add", "-A", where=where)
        self.git(*who, "commit", "-q", "-m", message, where=where)
        return self.git("rev-parse", "HEAD", where=where)

    def pid(self, process: str) -> int:
        """The pid that the home records for `server`, `worker` or `supervisor`."""
        path = Path(self.env["WORKTRAIN_HOME"]) / "run" / f"{process}.json"
        return int(json.loads(path.read_text())["pid"])

    def model_calls(self) -> list[dict[str, Any]]:
        """Every request that the model server has seen."""
        return [json.loads(line) for line in self.stage.model_log.read_text().splitlines()]

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()
        self.worktrain("down")


Stager = Callable[..., Theatre]


@pytest.fixture
def theatre(tmp_path: Path) -> Iterator[Stager]:
    """Makes a `Theatre`; `change` may alter the demo's scenario before it is played."""
    opened: list[Theatre] = []
    servers: list[Any] = []

    def make(change: Callable[[dict[str, Any]], None] = lambda _: None) -> Theatre:
        stage = set_up(tmp_path / "stage")
        scenario = yaml.safe_load((DEMO / "scenario.yaml").read_text())
        change(scenario)
        path = tmp_path / "scenario.yaml"
        path.write_text(yaml.safe_dump(scenario, sort_keys=False))
        server = model_server(path, stage.model_log)
        url = server.__enter__()
        servers.append(server)
        env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ANTHROPIC_", "WORKTRAIN_", "TEMPORAL_"))
        }
        env |= {
            "PATH": with_our_python(os.environ),
            "WORKTRAIN_HOME": str(tmp_path / "home"),
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": "test-key",
        }
        opened.append(Theatre(stage, env))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
    for server in servers:
        server.__exit__(None, None, None)


def proof_of(theatre: Theatre, pipeline: str) -> dict[str, Any]:
    """The proof record of a merged pipeline, as `show --json` has it."""
    return dict(theatre.json("show", pipeline)["proof_record"]["proof"])


def session_of(scenario: dict[str, Any], name: str) -> dict[str, Any]:
    """One session of a scenario, to be changed in place."""
    return next(session for session in scenario["sessions"] if session["name"] == name)


def stopped(scenario: dict[str, Any], session: str, turn: int = 0) -> None:
    """Make the model fall silent at a turn: for long the first time, not at all when asked again.

    So a test has all the time it needs there, and whatever breaks the silence loses none.
    """
    session_of(scenario, session)["turns"][turn] |= {"delay_s": 120, "delay_times": 1}


def delayed(seconds: float, only: Sequence[str] = ()) -> Callable[[dict[str, Any]], None]:
    """Slow the model down, so that there is time to do something to it."""

    def change(scenario: dict[str, Any]) -> None:
        for session in scenario["sessions"]:
            if only and session["name"] not in only:
                continue
            for turn in session["turns"]:
                turn["delay_s"] = seconds

    return change
