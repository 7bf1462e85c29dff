"""Following, querying and steering with Temporal's own command line, nothing of ours."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Stager, Theatre

pytestmark = pytest.mark.e2e


def _temporal(stage: Theatre, *arguments: str) -> Any:
    from worktrain.embedded import find_program

    state = json.loads((Path(stage.env["WORKTRAIN_HOME"]) / "run" / "server.json").read_text())
    done = subprocess.run(
        [
            *(find_program(), *arguments),
            *("--address", state["address"], "--namespace", "worktrain", "--output", "json"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _ids(stage: Theatre, query: str) -> list[str]:
    found = _temporal(stage, "workflow", "list", "--query", query)
    return [one["execution"]["workflowId"] for one in found]


def test_a_pipeline_is_found_steered_and_approved_with_the_temporal_command(
    theatre: Stager,
) -> None:
    stage = theatre()
    stage.configure(merge={"policy": "ask"})
    stage.board.hold("coding", 1)
    pipeline = stage.run("--detach", pipeline="implement")["id"]

    stage.board.until_held("coding", 1)
    said = json.dumps({"text": "Mind the tests", "by": "ada"})
    steered = _temporal(
        stage,
        *("workflow", "update", "execute", "--workflow-id", f"{pipeline}/coding-1"),
        *("--name", "steer", "--input", said),
    )
    assert steered["result"] == "it will be read at the next turn"
    stage.board.release()

    stage.until(pipeline, lambda status: status["waiting"] is not None)
    assert pipeline in _ids(stage, "WtStatus = 'waiting'")
    reviews = _ids(stage, f"WtPhase = 'review' AND WtParent = '{pipeline}'")
    assert f"{pipeline}/review-1" in reviews
    history = _temporal(stage, "workflow", "show", "--workflow-id", f"{pipeline}/coding-1")[
        "events"
    ]
    summaries = [
        event.get("userMetadata", {}).get("summary", {}).get("data", "") for event in history
    ]
    assert any(summaries), "no activity of the session has a summary"
    decided = json.dumps({"answer": "approved", "by": "ada"})
    _temporal(
        stage,
        *("workflow", "update", "execute", "--workflow-id", pipeline),
        *("--name", "decide", "--input", decided),
    )
    assert stage.ended(pipeline)["ending"] == "merged"
    assert pipeline in _ids(stage, "WtEnding = 'merged' AND WtCostUsd > 0")
