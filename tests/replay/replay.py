"""Replay every recorded history in this process; run with a PYTHONHASHSEED to test that one."""

import asyncio
import gzip
import os
import sys

from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from tests.replay.record import HISTORIES
from worktrain.wiring import WORKFLOWS, runner


async def replayed(history: WorkflowHistory) -> str | None:
    """Why a history does not replay, or None."""
    replayer = Replayer(
        workflows=WORKFLOWS, workflow_runner=runner(), data_converter=pydantic_data_converter
    )
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    return str(result.replay_failure) if result.replay_failure is not None else None


async def replay() -> list[str]:
    """The recorded histories that do not replay, each with the reason."""
    broken = []
    for file in sorted(HISTORIES.glob("*/*.json.gz")):
        name = f"{file.parent.name}/{file.name}"
        text = gzip.decompress(file.read_bytes()).decode()
        why = await replayed(WorkflowHistory.from_json(name, text))
        if why is not None:
            broken.append(f"{name}: {why}")
    return broken


if __name__ == "__main__":
    problems = asyncio.run(replay())
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    sys.stderr.flush()
    os._exit(1 if problems else 0)
