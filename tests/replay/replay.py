"""Replay every recorded history in this process; run with a PYTHONHASHSEED to test that one."""

import asyncio
import gzip
import os
import sys
from collections.abc import AsyncIterator, Iterable, Iterator

from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from tests.replay.record import HISTORIES
from worktrain.wiring import WORKFLOWS, runner


async def replayed(histories: Iterable[WorkflowHistory]) -> list[str]:
    """Those that do not replay, each with the reason. One worker replays all of them: to make one
    for each took three times as long."""

    async def one_by_one() -> AsyncIterator[WorkflowHistory]:
        for history in histories:
            yield history

    replayer = Replayer(
        workflows=WORKFLOWS, workflow_runner=runner(), data_converter=pydantic_data_converter
    )
    broken = []
    async with replayer.workflow_replay_iterator(one_by_one()) as results:
        async for result in results:
            if result.replay_failure is not None:
                broken.append(f"{result.history.workflow_id}: {result.replay_failure}")
    return broken


def recorded() -> Iterator[WorkflowHistory]:
    """Every recorded history, under the name of its file."""
    for file in sorted(HISTORIES.glob("*/*.json.gz")):
        text = gzip.decompress(file.read_bytes()).decode()
        yield WorkflowHistory.from_json(f"{file.parent.name}/{file.name}", text)


if __name__ == "__main__":
    problems = asyncio.run(replayed(recorded()))
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    sys.stderr.flush()
    os._exit(1 if problems else 0)
