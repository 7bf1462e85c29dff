"""kill -9 of the worker in each phase and of the server once: the same end, nothing done twice."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import LONG, UNTIL_S_MAX, Play, Stager, phases_of, proof_of, session_of

pytestmark = pytest.mark.e2e

SILENT = {
    "classify": ("classify", 1),
    "discovery": ("discovery", 1),
    "shaping": ("shaping", 1),
    "coding": ("coding", 2),
    "review": ("review", 1),
    "fix": ("fix", 2),
    "review of the fix": ("review", 4),
    "retrospective": ("retrospective", 0),
}
"""In which turn of which session the model is silent when it is hit."""
# In CI one stands for all: there the reviewer is parked while another session is at work.
KILLED_IN = tuple(SILENT) if LONG else ("fix",)
SERVER_TOO = "fix"
HOOK = """#!/bin/sh
# The first push to the base branch takes its time, so that somebody can die in the middle of it.
while read old new ref; do
  if [ "$ref" = refs/heads/main ]; then
    echo "$new" >> "$GIT_DIR/pushed"
    test "$(wc -l < "$GIT_DIR/pushed")" -gt 1 || sleep 5
  fi
done
"""


def _leaves_a_mark(scenario: dict[str, Any]) -> None:
    effect = {"tool": "Bash", "input": {"command": "echo once >> effects.txt; sleep 20"}}
    session_of(scenario, "coding")["turns"][0]["calls"].append(effect)
    for name in ("review", "fix"):
        # Nobody declared the file; the reviewer says that it belongs to the change.
        for turn in session_of(scenario, name)["turns"]:
            for call in turn["calls"]:
                for artifact in call["input"].get("artifacts", ()):
                    if artifact["kind"] == "wr.review_verdict":
                        artifact["acceptedFiles"] = ["effects.txt"]
    session_of(scenario, "look back")["name"] = "retrospective"


def _slow_to_push(stage: Play) -> None:
    hook = stage.stage.origin / "hooks" / "pre-receive"
    hook.write_text(HOOK)
    hook.chmod(0o755)


def _until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + UNTIL_S_MAX
    while not true():
        assert time.monotonic() < deadline, f"not within {UNTIL_S_MAX} s"
        time.sleep(0.05)


def test_killed_workers_and_a_killed_server_change_nothing_about_the_end(theatre: Stager) -> None:
    stage = theatre(_leaves_a_mark, own_home=True)
    _slow_to_push(stage)
    for name in KILLED_IN:
        stage.board.hold(*SILENT[name])
    pipeline = stage.run("--detach")["id"]
    seen: list[str] = []
    worktrees = Path(stage.env["WORKTRAIN_HOME"]) / "worktrees"

    def kill(process: str) -> None:
        os.kill(stage.pid(process), signal.SIGKILL)
        seen.append(process)

    for name, turn in SILENT.items():
        if name == "coding":
            _until(lambda: list(worktrees.glob("*--coding-1/effects.txt")))
            kill("worker")
        if name == "retrospective":
            # It has the lane: the worker dies while it pushes.
            _until((stage.stage.origin / "pushed").exists)
            kill("worker")
        if name in KILLED_IN:
            stage.board.until_held(*turn)
            kill("worker")
            if name == SERVER_TOO:
                kill("server")
            stage.board.let(*turn)
    result = stage.ended(pipeline)

    assert result["ending"] == "merged", result["why"]
    assert phases_of(result) == [
        *("classify", "discovery", "shaping", "coding", "review", "fix", "retrospective")
    ]
    assert stage.git("ls-remote", "origin", "refs/heads/main").split()[0] == result["merged_commit"]
    stage.git("fetch", "-q", "origin", "main")
    # Each kill may cost the one model call that was in flight.
    repeated = Counter(call["digest"] for call in stage.model_calls())
    assert sum(times - 1 for times in repeated.values()) <= len(seen)
    # The command that was killed in the middle was not run again: the model was told instead.
    assert stage.git("show", "origin/main:effects.txt") == "once"
    marks = [line for line in stage.json("logs", pipeline) if "effects.txt" in line["text"]]
    assert [line["ok"] for line in marks if line["kind"] == "tool"] == [False]
    # One merge: whatever was pushed to the base branch, and however often, was this commit.
    pushed = (stage.stage.origin / "pushed").read_text().split()
    assert set(pushed) == {result["merged_commit"]}
    commits = stage.git("log", "--format=%s", f"{stage.git('rev-parse', 'main')}..origin/main")
    assert commits.splitlines() == [
        "Refuse misplaced thousands separators",
        "Read prices with a thousands separator",
    ]
    reviews = proof_of(stage, pipeline)["reviews"]
    assert [one["session"] for one in reviews] == [f"{pipeline}/review-1"] * 2
    assert [one["at"]["tree"] == result["tree"] for one in reviews] == [False, True]
    assert result["route"]["why"] == "label 'feature'"
    stage.worktrain("verify", result["merged_commit"], code=0)
