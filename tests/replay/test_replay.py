"""What was recorded keeps replaying, whatever the order in which a set gives its members."""

import asyncio
import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory

from tests.replay.record import HISTORIES
from tests.replay.replay import replayed
from tests.workflows.stories import STORIES

# Each takes twenty seconds of CI.
SEEDS = ("0", "1", "4242") if os.environ.get("WORKTRAIN_LONG") else ("0", "4242")


@pytest.mark.parametrize("seed", SEEDS)
def test_every_recorded_history_replays(seed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.replay.replay"],
        env={**os.environ, "PYTHONHASHSEED": seed},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_call_that_changed_places_is_noticed() -> None:
    """The gate itself: a history that this code would not have written does not pass."""
    file = next((HISTORIES / "session_completes").glob("*.json.gz"))
    text = gzip.decompress(file.read_bytes()).decode().replace("take_turn/2", "take_turn/9")
    (broken,) = asyncio.run(replayed([WorkflowHistory.from_json("changed", text)]))
    assert "take_turn" in broken


def test_every_story_has_its_recording() -> None:
    recorded = {folder.name for folder in HISTORIES.iterdir()}
    assert recorded == {story.__name__ for story in STORIES}
