"""What an operator does to running work, and what WorkTrain says when the outside fails."""

import signal
from typing import Any

import pytest

from tests.e2e.conftest import Stager, Theatre, delayed, proof_of, session_of, stopped

pytestmark = pytest.mark.e2e


def _begin(stage: Theatre) -> str:
    return str(stage.json("run", "--issue", str(stage.stage.issue), "--detach")["id"])


def test_ctrl_c_detaches_and_the_work_goes_on(theatre: Stager) -> None:
    stage = theatre(delayed(0.5))
    run = stage.start("run", "--issue", str(stage.stage.issue))
    assert run.stdout is not None
    lines = []
    for line in run.stdout:
        lines.append(line)
        if "discovery" in line:
            break
    run.send_signal(signal.SIGINT)
    rest, _ = run.communicate(timeout=30)
    assert run.returncode == 0
    assert "detached" in rest
    assert "worktrain status" in rest
    pipeline = stage.json("status")[0]["id"]
    assert stage.ended(pipeline)["ending"] == "merged"


def test_pause_steer_resume_and_kill(theatre: Stager) -> None:
    def slow(scenario: dict[str, Any]) -> None:
        session_of(scenario, "discovery")["turns"][0]["delay_s"] = 5
        stopped(scenario, "shaping")

    stage = theatre(slow)
    pipeline = _begin(stage)
    stage.until(pipeline, lambda status: (status.get("running") or {}).get("turn") == 1)
    stage.worktrain("pause", pipeline, code=0)
    status = stage.until(pipeline, lambda status: status["waiting"] is not None)
    assert status["waiting"]["kind"] == "paused"
    again = stage.worktrain("pause", pipeline, code=1)
    assert "paused" in again.stderr
    stage.worktrain("steer", pipeline, "Mind the tests", code=0)
    stage.worktrain("resume", pipeline, code=0)
    stage.until(pipeline, lambda status: status.get("phase") == "shaping")
    assert "Mind the tests" in stage.worktrain("logs", pipeline, code=0).stdout
    stage.worktrain("kill", pipeline, code=0)
    assert stage.ended(pipeline)["ending"] == "killed"
    assert len(stage.git("worktree", "list").splitlines()) == 1


def test_a_question_of_the_agent_waits_for_the_operators_answer(theatre: Stager) -> None:
    def ask(scenario: dict[str, Any]) -> None:
        issue = {
            "kind": "needs_human",
            "severity": "warn",
            "summary": "Which separator is meant, comma or point?",
        }
        session_of(scenario, "discovery")["turns"].insert(
            2, {"calls": [{"tool": "report_issue", "input": issue}]}
        )

    stage = theatre(ask)
    waiting = stage.json("run", "--issue", str(stage.stage.issue), code=3)
    assert waiting["waiting"]["kind"] == "question"
    assert "comma or point" in waiting["waiting"]["text"]
    question = waiting["waiting"]["id"]
    refused = stage.worktrain("answer", waiting["id"], "q999", "the comma")
    assert refused.returncode == 1
    assert question in refused.stderr
    stage.worktrain("answer", waiting["id"], question, "the comma", code=0)
    assert stage.ended(waiting["id"])["ending"] == "merged"


def test_a_wrong_key_is_held_and_goes_on_with_a_right_one(theatre: Stager) -> None:
    stage = theatre(lambda scenario: scenario.update(key="the-right-one"))
    waiting = stage.json("run", "--issue", str(stage.stage.issue), code=3)
    assert waiting["waiting"]["kind"] == "held"
    assert "ANTHROPIC_API_KEY" in waiting["waiting"]["text"]
    assert "test-key" not in waiting["waiting"]["text"]
    stage.env["ANTHROPIC_API_KEY"] = "the-right-one"
    stage.worktrain("resume", waiting["id"], code=0)
    assert stage.ended(waiting["id"])["ending"] == "merged"


def test_a_model_that_does_not_exist_is_held_with_its_name(theatre: Stager) -> None:
    stage = theatre(lambda scenario: scenario.update(models=["some-other-model"]))
    waiting = stage.json("run", "--issue", str(stage.stage.issue), code=3)
    assert "claude" in waiting["waiting"]["text"]
    stage.worktrain("kill", waiting["id"], code=0)


def test_rate_limits_are_waited_out(theatre: Stager) -> None:
    def limited(scenario: dict[str, Any]) -> None:
        error = {"status": 429, "type": "rate_limit_error", "message": "slow down"}
        session_of(scenario, "discovery")["turns"][0]["errors"] = [
            {**error, "retry_after_s": 1, "times": 3},
            {"status": 529, "type": "overloaded_error", "message": "busy", "times": 2},
        ]

    stage = theatre(limited)
    assert stage.json("run", "--issue", str(stage.stage.issue))["ending"] == "merged"
    statuses = [call["status"] for call in stage.model_calls()]
    assert statuses[:6] == [429, 429, 429, 529, 529, 200]


def test_an_agent_that_stops_early_has_failed(theatre: Stager) -> None:
    def silent(scenario: dict[str, Any]) -> None:
        session_of(scenario, "coding")["turns"] = [{"text": "Done!"}, {"text": "Really done."}]

    stage = theatre(silent)
    quick = ("run", "--pipeline", "quick", "--issue", str(stage.stage.issue))
    result = stage.json(*quick, code=1)
    assert result["ending"] == "failed"
    assert result["phases"][0]["ending"] == "stopped_early"


def test_three_wrong_artifacts_block_the_session(theatre: Stager) -> None:
    def wrong(scenario: dict[str, Any]) -> None:
        claim = {"artifacts": [{"kind": "wr.coding_handoff", "commitSubjekt": "typo"}]}
        turns = session_of(scenario, "coding")["turns"]
        turns[4:] = [{"calls": [{"tool": "complete_step", "input": claim}]}] * 3

    stage = theatre(wrong)
    quick = ("run", "--pipeline", "quick", "--issue", str(stage.stage.issue))
    result = stage.json(*quick, code=1)
    assert result["phases"][0]["ending"] == "blocked"
    assert "commitSubject" in result["why"]


def test_a_check_that_fails_alike_on_the_base_is_named_and_allowed(theatre: Stager) -> None:
    stage = theatre()
    (stage.stage.repo / "tests" / "test_old.py").write_text(
        "def test_that_has_been_red_for_years():\n    assert False\n"
    )
    stage.commit("An old failure")
    stage.git("push", "-q", "origin", "main")
    result = stage.json("run", "--pipeline", "quick", "--issue", str(stage.stage.issue))
    assert result["ending"] == "merged"
    notices = proof_of(stage, result["id"])["notices"]
    assert any("test_that_has_been_red_for_years" in notice for notice in notices)


@pytest.mark.parametrize(
    ("run", "timeout_s", "said"),
    [("no-such-program --check", 60, "not found"), ("sleep 600", 1, "still running")],
)
def test_a_check_that_is_missing_or_hangs_stops_and_asks(
    theatre: Stager, run: str, timeout_s: int, said: str
) -> None:
    stage = theatre()
    (stage.stage.repo / ".worktrain" / "config.yml").write_text(
        f"verify:\n  - {{name: odd, run: {run}, timeout_s: {timeout_s}}}\nmerge: {{policy: auto}}\n"
    )
    stage.commit("An odd check")
    stage.git("push", "-q", "origin", "main")
    before = stage.git("rev-parse", "HEAD")
    quick = ("run", "--pipeline", "quick", "--issue", str(stage.stage.issue))
    waiting = stage.json(*quick, code=3)
    assert waiting["waiting"]["id"] == "checks"
    assert said in waiting["waiting"]["text"]
    assert stage.git("ls-remote", "origin", "refs/heads/main").split()[0] == before
    stage.worktrain("reject", waiting["id"], code=0)
