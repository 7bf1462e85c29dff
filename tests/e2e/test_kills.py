"""kill -9 of the worker in each phase and of the server once: the same end, nothing done twice."""

import os
import signal
from collections import Counter
from functools import partial
from typing import Any

import pytest

from tests.e2e.conftest import Stager, session_of, stopped

pytestmark = pytest.mark.e2e

LONG = bool(os.environ.get("WORKTRAIN_LONG"))
SESSIONS = ("discovery", "shaping", "coding", "review", "fix", "review of the fix")
# In CI two stand for all: one in which the model is called, one in which a command has an effect.
KILLED_IN = SESSIONS if LONG else ("shaping",)


def _scripted(scenario: dict[str, Any]) -> None:
    """The model falls silent in each session that is hit; a command in coding leaves a mark."""
    for name in KILLED_IN:
        stopped(scenario, name, turn=1)
    effect = {"tool": "Bash", "input": {"command": "echo once >> effects.txt; sleep 20"}}
    session_of(scenario, "coding")["turns"][0]["calls"].append(effect)


def _is_at_turn_2(session: str, status: dict[str, Any]) -> bool:
    running = status.get("running") or {}
    return running.get("session") == session and running["turn"] == 2


def test_killed_workers_and_a_killed_server_change_nothing_about_the_end(theatre: Stager) -> None:
    stage = theatre(_scripted)
    pipeline = stage.json("run", "--issue", str(stage.stage.issue), "--detach")["id"]
    seen: list[str] = []

    def kill(process: str) -> None:
        os.kill(stage.pid(process), signal.SIGKILL)
        seen.append(process)

    reached: Counter[str] = Counter()
    for name in SESSIONS:
        phase = name.partition(" ")[0]
        reached[phase] += 1
        session = f"{pipeline}/{phase}-{reached[phase]}"
        if name == "coding":
            stage.until(pipeline, lambda status: "effects.txt" in str(status.get("running")))
            kill("worker")
        if name in KILLED_IN:
            stage.until(pipeline, partial(_is_at_turn_2, session))
            kill("worker")
            if name == "shaping":
                kill("server")
    if LONG:
        stage.until(pipeline, lambda status: status.get("phase") == "merge")
        kill("worker")
    result = stage.ended(pipeline)

    assert result["ending"] == "merged"
    assert [phase["phase"] for phase in result["phases"]] == [
        *("discovery", "shaping", "coding", "review", "fix", "review")
    ]
    assert stage.git("ls-remote", "origin", "refs/heads/main").split()[0] == result["merged_commit"]
    # Each kill may cost the one model call that was in flight.
    repeated = Counter(call["digest"] for call in stage.model_calls())
    assert sum(times - 1 for times in repeated.values()) <= len(seen)
    # The command that was killed in the middle was not run again: the model was told instead.
    stage.git("fetch", "-q", "origin", "main")
    assert stage.git("show", "origin/main:effects.txt") == "once"
    marks = [line for line in stage.json("logs", pipeline) if "effects.txt" in line["text"]]
    assert [line["ok"] for line in marks if line["kind"] == "tool"] == [False]
    stage.worktrain("verify", result["merged_commit"], code=0)
