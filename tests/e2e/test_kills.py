"""kill -9 of the worker in each phase and of the server once: the same end, nothing done twice."""

import os
import signal
from collections import Counter
from typing import Any

import pytest

from tests.e2e.conftest import Stager, session_of

pytestmark = pytest.mark.e2e

LONG = bool(os.environ.get("WORKTRAIN_LONG"))
# In CI two phases stand for all: one in which only the model is called, one with effects.
PHASES = (
    ["discovery", "shaping", "coding", "review", "fix", "merge"]
    if LONG
    else [
        "shaping",
        "coding",
    ]
)


def _slow_with_an_effect(scenario: dict[str, Any]) -> None:
    """Half a second a reply, and a command in coding that leaves a mark each time it runs."""
    for session in scenario["sessions"]:
        for turn in session["turns"]:
            turn["delay_s"] = 0.5
    first = session_of(scenario, "coding")["turns"][0]
    first["calls"].append(
        {"tool": "Bash", "input": {"command": "echo once >> effects.txt; sleep 3"}}
    )


def test_killed_workers_and_a_killed_server_change_nothing_about_the_end(
    theatre: Stager,
) -> None:
    stage = theatre(_slow_with_an_effect)
    pipeline = stage.json("run", "--issue", str(stage.stage.issue), "--detach")["id"]
    kills = len(PHASES) + 1
    for phase in PHASES:
        stage.until(pipeline, lambda status, phase=phase: status.get("phase") == phase)
        os.kill(stage.pid("worker"), signal.SIGKILL)
        if phase == "shaping":
            os.kill(stage.pid("server"), signal.SIGKILL)
    result = stage.ended(pipeline)

    assert result["ending"] == "merged"
    assert [phase["phase"] for phase in result["phases"]] == [
        *("discovery", "shaping", "coding", "review", "fix", "review")
    ]
    assert stage.git("ls-remote", "origin", "refs/heads/main").split()[0] == result["merged_commit"]
    # Each kill may cost the one model call that was in flight.
    repeated = Counter(call["digest"] for call in stage.model_calls())
    assert sum(times - 1 for times in repeated.values()) <= kills
    stage.git("fetch", "-q", "origin", "main")
    assert stage.git("show", "origin/main:effects.txt") == "once"
    stage.worktrain("verify", result["merged_commit"], code=0)
