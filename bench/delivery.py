"""What a delivery costs beyond its model calls: today's rules against those of the first edition.

Everything outside is in memory and answers at once; the server and the worker are real. Both
editions deliver the same change, alternately, so that the machine's load hits both alike.

    python -m bench.delivery
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from tests.workflows.deliveries import reviewer
from tests.workflows.office import CLEAN, Office, quick, small
from worktrain import embedded
from worktrain.contracts.pipeline import PipelineEnding
from worktrain.embedded import Endpoints
from worktrain.settings import load

ROUNDS = 5
RULES = "verify: [{name: tests, run: run the tests}]\nmerge: {policy: auto}\n"


async def _measured(office: Office, *, edition: int) -> dict[str, float]:
    """One delivery: seconds, history events and bytes of its pipeline, activities of all."""
    office.plays(*(quick() if edition == 1 else small(reviewer(CLEAN))))
    started = time.perf_counter()
    begin: Callable[[], Any] = office.begin_first_edition if edition == 1 else office.begin
    pipeline = await begin()
    result = await office.ended(pipeline)
    seconds = time.perf_counter() - started
    assert result.ending is PipelineEnding.MERGED, result.why
    found = {"seconds": seconds, "turns": float(sum(one.turns for one in result.phases))}
    histories = [
        await office.temporal.get_workflow_handle(name).fetch_history()
        for name in (pipeline, *(one.session for one in result.phases))
    ]
    found["events"] = float(sum(len(history.events) for history in histories))
    found["KiB"] = sum(len(history.to_json()) for history in histories) / 1024
    found["activities"] = float(
        sum(
            event.HasField("activity_task_scheduled_event_attributes")
            for history in histories
            for event in history.events
        )
    )
    return found


async def measure(server: Endpoints) -> None:
    sums: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    for round_ in range(ROUNDS + 1):
        for edition in (1, 2):
            with tempfile.TemporaryDirectory() as home:
                async with Office.opened(server, Path(home)) as office:
                    office.configure(RULES)
                    one = await _measured(office, edition=edition)
            # The first round warms up.
            if round_:
                sums[edition].append(one)
    sys.stdout.write(f"{'':12}{'edition 1':>12}{'edition 2':>12}{'ratio':>8}\n")
    for name in ("seconds", "turns", "activities", "events", "KiB"):
        first, second = (median(one[name] for one in sums[edition]) for edition in (1, 2))
        sys.stdout.write(f"{name:12}{first:12.2f}{second:12.2f}{second / first:8.2f}\n")


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        settings = load({"WORKTRAIN_HOME": home, "HOME": home})
        server = embedded.start_server(settings)
        try:
            asyncio.run(measure(server))
        finally:
            embedded.stop_server(settings)
    sys.stdout.flush()
    # The SDK dies in one of five normal exits of the interpreter.
    os._exit(0)


if __name__ == "__main__":
    main()
