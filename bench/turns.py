"""What a turn costs: WorkTrain's against a bare Temporal loop with as many empty activities.

Both run in this one process on one embedded server, one after the other and in turns, so that
whatever else the machine does hits both. Prints wall time, CPU (server and worker together), events
and bytes per turn, and their ratios. Linux only: CPU of the server is read from /proc.
"""

import asyncio
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client as Temporal
from temporalio.worker import Worker

from bench.bare import BareLoop, empty_model, empty_tool
from worktrain import embedded, wiring
from worktrain.adapters.forges.in_memory import InMemoryForge
from worktrain.adapters.shells.scripted import ScriptedShell
from worktrain.adapters.signing.in_memory import InMemorySigner
from worktrain.adapters.stores.sql import SqlStore
from worktrain.adapters.workspaces.in_memory import InMemoryRepository, InMemoryWorkspaces
from worktrain.client import connect
from worktrain.contracts.session import SessionRequest, SessionStart
from worktrain.contracts.task import Task
from worktrain.contracts.turn import ModelReply, ModelRequest, StopReason, ToolUseBlock, Usage
from worktrain.contracts.workspace import Limits, ModelNames, SandboxRules
from worktrain.settings import load

LENGTHS = (10, 200)
ROUNDS = 3
BASE = InMemoryRepository({"small.txt": "small\n"}).refs["main"]
TICKS = os.sysconf("SC_CLK_TCK")
"""Ticks of /proc/PID/stat in a second."""


@dataclass
class Cost:
    """Of one turn: milliseconds, history events, history bytes."""

    wall_ms: float
    cpu_ms: float
    events: float
    bytes: float


class EmptyModel:
    """A model that costs nothing: reads a small file `turns - 2` times, then ends both steps."""

    def __init__(self, turns: int) -> None:
        handoff = {
            "kind": "wr.discovery_handoff",
            "selectedDirection": "None.",
            "confidenceBand": "high",
        }
        notes = "Read the small file as often as the benchmark asked for, and nothing else."
        self._turns = turns
        self._read = _calling("Read", {"filePath": "small.txt"})
        self._ends = (
            _calling("complete_step", {"notes": notes}),
            _calling("complete_step", {"artifacts": [handoff]}),
        )

    async def reply(self, request: ModelRequest, progress: Callable[[str], None]) -> ModelReply:
        turn = len(request.messages) // 2
        left = self._turns - turn
        return self._read if left > 2 else self._ends[2 - left]


def _calling(tool: str, given: dict[str, Any]) -> ModelReply:
    return ModelReply(
        blocks=(ToolUseBlock(id="toolu_0123456789abcdefghijkl", name=tool, input=given),),
        stop=StopReason.TOOL_USE,
        usage=Usage(input=12, output=300, cache_read=12_000, cache_write=400),
        model="claude-sonnet-5-5",
        cost_microdollars=9_000,
    )


def request(home: Path, name: str) -> SessionStart:
    """A session, and the small file in the place of its worktree."""
    root = home / "worktrees" / name
    root.mkdir(parents=True)
    (root / "small.txt").write_text("small\n")
    return SessionStart(
        request=SessionRequest(
            session=name,
            pipeline="bench",
            phase="discovery",
            spec="discovery",
            repo="memory",
            base=BASE,
            at=BASE,
            branch=None,
            task=Task(source="typed", title="bench"),
            sections=(),
            limits=Limits(turns_max=2000, tokens_max=10**9, cost_usd_max=1e6),
            models=ModelNames(),
            model=None,
            sandbox=SandboxRules(),
        )
    )


def cpu_s(server_pid: int) -> float:
    """CPU seconds that this process and the server have used so far."""
    fields = Path(f"/proc/{server_pid}/stat").read_text().rpartition(")")[2].split()
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime + (int(fields[11]) + int(fields[12])) / TICKS


async def measure(
    temporal: Temporal, server_pid: int, turns: int, run: Callable[[str], Awaitable[object]]
) -> Cost:
    """One run under a new name, from start to result."""
    name = f"bench-{time.monotonic_ns()}"
    began, cpu = time.monotonic(), cpu_s(server_pid)
    await run(name)
    wall, spent = time.monotonic() - began, cpu_s(server_pid) - cpu
    events, size = await written(temporal, name)
    return Cost(wall * 1e3 / turns, spent * 1e3 / turns, events / turns, size / turns)


async def written(temporal: Temporal, name: str) -> tuple[int, int]:
    """Events and bytes of a workflow's history, over all runs that it went on in."""
    events, size = 0, 0
    run: str | None = None
    while True:
        described = await temporal.get_workflow_handle(name, run_id=run).describe()
        info = described.raw_description.workflow_execution_info
        events += info.history_length
        size += info.history_size_bytes
        history = await temporal.get_workflow_handle(name, run_id=described.run_id).fetch_history()
        started = history.events[0].workflow_execution_started_event_attributes
        run = started.continued_execution_run_id
        if not run:
            return events, size


def median(costs: list[Cost]) -> Cost:
    return Cost(
        *(
            statistics.median(getattr(cost, name) for cost in costs)
            for name in ("wall_ms", "cpu_ms", "events", "bytes")
        )
    )


async def compare(temporal: Temporal, home: Path, server_pid: int, turns: int) -> tuple[Cost, Cost]:
    """Bare and ours, alternating, the median of each."""
    bare: list[Cost] = []
    ours: list[Cost] = []
    async with AsyncExitStack() as stack:
        store = await SqlStore.open(f"sqlite:///{home}/bench-{turns}.db")
        stack.push_async_callback(store.close)
        shell = ScriptedShell([])

        async def choose(rules: SandboxRules, scratch: Path) -> tuple[ScriptedShell, str]:
            return shell, "scripted"

        repositories = {"memory": InMemoryRepository({"small.txt": "small\n"})}
        reached = wiring.Outside(
            store=store,
            model=EmptyModel(turns),
            workspaces=InMemoryWorkspaces(repositories),
            forge=InMemoryForge(repositories),
            choose_shell=choose,
            signer=InMemorySigner(),
        )
        settings = load({**os.environ, "WORKTRAIN_HOME": str(home)})
        queue = f"bench-{turns}"
        await stack.enter_async_context(wiring.worker(temporal, settings, reached, queue))
        await stack.enter_async_context(
            Worker(
                temporal,
                task_queue="bare",
                workflows=[BareLoop],
                activities=[empty_model, empty_tool],
                workflow_runner=wiring.runner(),
                max_concurrent_workflow_tasks=4,
            )
        )
        for _ in range(ROUNDS + 1):
            bare.append(
                await measure(
                    temporal,
                    server_pid,
                    turns,
                    lambda name: temporal.execute_workflow(
                        BareLoop.run, turns, id=name, task_queue="bare"
                    ),
                )
            )
            ours.append(
                await measure(
                    temporal,
                    server_pid,
                    turns,
                    lambda name: temporal.execute_workflow(
                        "SessionWorkflow", request(home, name), id=name, task_queue=queue
                    ),
                )
            )
    # The first round of each warms caches and is left out.
    return median(bare[1:]), median(ours[1:])


async def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        settings = load({**os.environ, "WORKTRAIN_HOME": str(home)})
        endpoints = embedded.start_server(settings)
        try:
            temporal = await connect(
                {"target_host": endpoints.address, "namespace": endpoints.namespace}
            )
            server_pid = json.loads((home / "run" / "server.json").read_text())["pid"]
            print(f"{'turns':>5} {'':8} {'wall ms':>8} {'CPU ms':>8} {'events':>7} {'bytes':>7}")
            for turns in LENGTHS:
                bare, ours = await compare(temporal, home, server_pid, turns)
                for name, cost in (("bare", bare), ("ours", ours)):
                    print(
                        f"{turns:>5} {name:8} {cost.wall_ms:8.1f} {cost.cpu_ms:8.1f} "
                        f"{cost.events:7.1f} {cost.bytes:7.0f}"
                    )
                print(
                    f"{turns:>5} {'ratio':8} {ours.wall_ms / bare.wall_ms:8.2f} "
                    f"{ours.cpu_ms / bare.cpu_ms:8.2f} {ours.events / bare.events:7.2f} "
                    f"{ours.bytes / bare.bytes:7.2f}"
                )
        finally:
            embedded.stop_server(settings)
    return 0


if __name__ == "__main__":
    code = asyncio.run(main())
    sys.stdout.flush()
    # The SDK dies in one of five normal exits of the interpreter.
    os._exit(code)
