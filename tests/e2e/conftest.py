"""A stage for whole pipelines: real processes, real git, real HTTP, a scripted model."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import yaml

from worktrain import access
from worktrain.adapters.models import scripted_http
from worktrain.adapters.models.messages_wire import parsed
from worktrain.adapters.models.scenario import Scenario, answer
from worktrain.cli.standing import facts
from worktrain.contracts.failure import AdapterError
from worktrain.demo.play import Stage, set_up, with_our_python
from worktrain.settings import load

UNTIL_S_MAX = 150
"""Long enough for a few recoveries of ten seconds each on a busy machine."""
READY_S_MAX = 30
ROWS_MAX = 200
LONG = bool(os.environ.get("WORKTRAIN_LONG"))
long = pytest.mark.skipif(not LONG, reason="one of the long drills: WORKTRAIN_LONG=1 runs it")
"""For stories whose decisions are played in memory elsewhere, so that CI need not wait for them."""
DEMO = Path(__file__).parents[2] / "worktrain" / "demo"
NOT_OURS = ("ANTHROPIC_", "WORKTRAIN_", "TEMPORAL_")


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

    def clear(self) -> None:
        """End what is still at work on this repository, and what was started beside the test."""
        for process in self._started:
            process.kill()
            process.communicate()
        with suppress(AdapterError):
            asyncio.run(self._end())

    async def _end(self) -> None:
        async with access.reach(load(self.env), self.env) as client:
            for row in await client.pipelines(ROWS_MAX):
                if row.repo == str(self.stage.repo) and row.ended_s is None:
                    await client.kill(row.id)

    def close(self) -> None:
        self.clear()
        self.worktrain("down")


class Board:
    """The stand-in for a model on a port of its own. It can be made to wait before a reply, so
    that a test has all the time it needs to do something meanwhile."""

    def __init__(self) -> None:
        self.plays(Scenario(sessions=()), None)
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            lifespan="off",
            log_level="warning",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listening],), daemon=True)
        self._thread.start()

    def plays(self, scenario: Scenario, log: Path | None) -> None:
        """From now on this is what it says; nothing is held back."""
        self._scenario, self._answers = scenario, scripted_http.app(scenario, log)
        self._holds: set[tuple[str, int]] = set()
        self._arrived: set[tuple[str, int]] = set()

    def hold(self, session: str, turn: int) -> None:
        """Keep the reply of a turn, counted from 0, until `release`."""
        self._arrived.discard((session, turn))
        self._holds.add((session, turn))

    def until_held(self, session: str, turn: int) -> None:
        """Wait until somebody asks for a reply that is held back."""
        deadline = time.monotonic() + UNTIL_S_MAX
        while (session, turn) not in self._arrived:
            assert time.monotonic() < deadline, f"{session} did not come to turn {turn}"
            time.sleep(0.05)

    def let(self, session: str, turn: int) -> None:
        """Give the reply of one turn that was held back."""
        self._holds.discard((session, turn))

    def release(self) -> None:
        """Give every reply that was held back."""
        self._holds.clear()

    def close(self) -> None:
        self.release()
        self._server.should_exit = True
        self._thread.join(READY_S_MAX)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/v1/messages":
            return await self._answers(scope, receive, send)
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        body = b"".join(message.get("body", b"") for message in messages)
        said = answer(self._scenario, parsed(json.loads(body)), 0)
        asked = (said.session or "", said.turn)
        while asked in self._holds:
            self._arrived.add(asked)
            await asyncio.sleep(0.02)
        told = iter(messages)

        async def again() -> Any:
            message = next(told, None)
            return await receive() if message is None else message

        return await self._answers(scope, again, send)


@dataclass(frozen=True)
class Home:
    """A WorkTrain home with server, worker and model, for one theatre after the other."""

    env: dict[str, str]
    board: Board


def _home(root: Path) -> Home:
    board = Board()
    env = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
    env |= {
        "PATH": with_our_python(os.environ),
        "WORKTRAIN_HOME": str(root / "home"),
        "ANTHROPIC_BASE_URL": board.url,
        "ANTHROPIC_API_KEY": "test-key",
    }
    return Home(env, board)


@dataclass(kw_only=True)
class Play(Theatre):
    """A theatre whose model says what a scenario says."""

    board: Board

    def plays(self, change: Callable[[dict[str, Any]], None]) -> None:
        """From now on the model plays the demo's scenario with this change."""
        scenario = yaml.safe_load((DEMO / "scenario.yaml").read_text())
        change(scenario)
        self.board.plays(Scenario.model_validate(scenario, extra="forbid"), self.stage.model_log)

    def configure(self, **changes: Any) -> None:
        """Change the repository's rules on the base, as a colleague would."""
        path = self.stage.repo / ".worktrain" / "config.yml"
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))
        self.commit("Other rules")
        self.git("push", "-q", "origin", "main")

    def colleague(self, branch: str | None = None) -> Path:
        """A clone of the origin, in which somebody else works; on the work branch, if named."""
        place = self.stage.root / f"colleague-{len(list(self.stage.root.iterdir()))}"
        self.git("clone", "-q", str(self.stage.origin), str(place))
        if branch is not None:
            self.git("fetch", "-q", str(self.stage.repo), branch, where=place)
            self.git("checkout", "-q", "-b", branch, "FETCH_HEAD", where=place)
        return place

    def run(self, *arguments: str, pipeline: str = "", code: int | None = 0) -> Any:
        """Have the demo's issue worked on, in words of `run --json`."""
        kind = ("--pipeline", pipeline) if pipeline else ()
        return self.json("run", *kind, "--issue", str(self.stage.issue), *arguments, code=code)


Stager = Callable[..., Play]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """The home that most stories use: to begin one and to end it takes longer than a story."""
    root = tmp_path_factory.mktemp("home")
    found = _home(root)
    yield found
    Theatre(set_up(root / "stage"), found.env).close()
    found.board.close()


@pytest.fixture
def theatre(home: Home, tmp_path: Path) -> Iterator[Stager]:
    """Makes a `Play`; `change` may alter the demo's scenario before it is played, and
    `own_home` gives it server and worker of its own."""
    opened: list[tuple[Play, bool]] = []

    def make(
        change: Callable[[dict[str, Any]], None] = lambda _: None, *, own_home: bool = False
    ) -> Play:
        used = _home(tmp_path) if own_home else home
        play = Play(set_up(tmp_path / "stage"), dict(used.env), board=used.board)
        play.plays(change)
        opened.append((play, own_home))
        return play

    yield make
    for play, own_home in opened:
        play.board.release()
        if own_home:
            play.close()
            play.board.close()
        else:
            play.clear()


def proof_of(theatre: Theatre, pipeline: str) -> dict[str, Any]:
    """The proof record of a merged pipeline, as `show --json` has it."""
    return dict(theatre.json("show", pipeline)["proof_record"]["proof"])


def session_of(scenario: dict[str, Any], name: str) -> dict[str, Any]:
    """One session of a scenario, to be changed in place."""
    return next(session for session in scenario["sessions"] if session["name"] == name)


def calls(*made: tuple[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A turn of the model that calls tools."""
    return {"calls": [{"tool": tool, "input": dict(given)} for tool, given in made]}


def step(notes: str = "", *artifacts: Mapping[str, Any]) -> dict[str, Any]:
    """A turn of the model that finishes a step."""
    claim = {"notes": notes} if notes else {}
    return calls(("complete_step", {**claim, "artifacts": [dict(one) for one in artifacts]}))


def phases_of(result: Mapping[str, Any]) -> list[str]:
    """Which phases ran, in their order."""
    return [phase["phase"] for phase in result["phases"]]
