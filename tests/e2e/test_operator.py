"""What an operator does to running work, and what WorkTrain says when the outside fails."""

import signal
from typing import Any

import pytest

from tests.e2e.conftest import Stager, phases_of, proof_of, session_of, step

pytestmark = pytest.mark.e2e


def test_ctrl_c_detaches_and_the_work_goes_on(theatre: Stager) -> None:
    stage = theatre()
    stage.board.hold("coding", 0)
    issue = str(stage.stage.issue)
    run = stage.start("run", "--pipeline", "implement", "--issue", issue)
    assert run.stdout is not None
    for line in run.stdout:
        if "classify completed" in line:
            break
    stage.board.until_held("coding", 0)
    run.send_signal(signal.SIGINT)
    rest, _ = run.communicate(timeout=30)
    assert run.returncode == 0
    assert "detached" in rest
    assert "worktrain status" in rest
    stage.board.hold("review", 0)
    stage.board.let("coding", 0)
    stage.board.until_held("review", 0)


def test_pause_steer_resume_and_kill(theatre: Stager) -> None:
    stage = theatre()
    stage.board.hold("coding", 0)
    pipeline = stage.run("--detach", pipeline="implement")["id"]
    stage.board.until_held("coding", 0)
    stage.worktrain("pause", pipeline, code=0)
    stage.board.release()
    stage.board.hold("review", 0)
    status = stage.until(pipeline, lambda status: status["waiting"] is not None)
    assert status["waiting"]["kind"] == "paused"
    again = stage.worktrain("pause", pipeline, code=1)
    assert "paused" in again.stderr
    stage.worktrain("steer", pipeline, "Mind the tests", code=0)
    stage.worktrain("resume", pipeline, code=0)
    stage.board.until_held("review", 0)
    assert "Mind the tests" in stage.worktrain("logs", pipeline, code=0).stdout
    stage.worktrain("kill", pipeline, code=0)
    killed = stage.ended(pipeline)
    assert killed["ending"] == "killed"
    assert stage.git("branch", "--list", "worktrain/*").strip() == killed["branch"]
    assert len(stage.git("worktree", "list").splitlines()) == 1


def test_a_question_of_the_agent_waits_for_the_operators_answer(theatre: Stager) -> None:
    def ask(scenario: dict[str, Any]) -> None:
        issue = {
            "kind": "needs_human",
            "severity": "warn",
            "summary": "Which separator is meant, comma or point?",
        }
        turns = session_of(scenario, "coding")["turns"]
        turns.insert(1, {"calls": [{"tool": "report_issue", "input": issue}]})
        # Without the answer the model would not know what to say.
        turns[2]["when"] = "the comma"

    stage = theatre(ask)
    stage.board.hold("review", 0)
    waiting = stage.run(pipeline="implement", code=3)
    assert waiting["waiting"]["kind"] == "question"
    assert "comma or point" in waiting["waiting"]["text"]
    question = waiting["waiting"]["id"]
    refused = stage.worktrain("answer", waiting["id"], "q999", "the comma")
    assert refused.returncode == 1
    assert question in refused.stderr
    stage.worktrain("answer", waiting["id"], question, "the comma", code=0)
    stage.board.until_held("review", 0)


def test_a_wrong_key_is_held_and_goes_on_with_a_right_one(theatre: Stager) -> None:
    stage = theatre(lambda scenario: scenario.update(key="the-right-one"), own_home=True)
    stage.board.hold("coding", 0)
    waiting = stage.run(pipeline="implement", code=3)
    assert waiting["waiting"]["kind"] == "held"
    assert "ANTHROPIC_API_KEY" in waiting["waiting"]["text"]
    assert "test-key" not in waiting["waiting"]["text"]
    stage.env["ANTHROPIC_API_KEY"] = "the-right-one"
    stage.worktrain("resume", waiting["id"], code=0)
    stage.board.until_held("coding", 0)


def test_a_model_that_does_not_exist_is_held_with_its_name(theatre: Stager) -> None:
    stage = theatre(lambda scenario: scenario.update(models=["some-other-model"]))
    waiting = stage.run(code=3)
    assert "claude" in waiting["waiting"]["text"]
    stage.worktrain("kill", waiting["id"], code=0)
    assert stage.ended(waiting["id"])["ending"] == "killed"


def test_rate_limits_are_waited_out(theatre: Stager) -> None:
    def limited(scenario: dict[str, Any]) -> None:
        error = {"status": 429, "type": "rate_limit_error", "message": "slow down"}
        session_of(scenario, "classify")["turns"][0]["errors"] = [
            {**error, "retry_after_s": 1, "times": 2},
            {"status": 529, "type": "overloaded_error", "message": "busy"},
        ]

    stage = theatre(limited)
    stage.board.hold("coding", 0)
    stage.run("--detach", pipeline="implement")
    stage.board.until_held("coding", 0)
    statuses = [call["status"] for call in stage.model_calls()]
    assert statuses[:4] == [429, 429, 529, 200]


def test_an_agent_that_stops_early_is_followed_by_one_that_is_told_so(theatre: Stager) -> None:
    def silent(scenario: dict[str, Any]) -> None:
        coding = session_of(scenario, "coding")
        told = {**coding, "name": "coding again", "match": "An earlier session of this phase"}
        coding["turns"] = [{"text": "Done!"}, {"text": "Really done."}]
        scenario["sessions"].insert(0, told)

    stage = theatre(silent)
    result = stage.run(pipeline="implement")
    assert result["ending"] == "merged"
    ended = [(one["phase"], one["ending"]) for one in result["phases"]]
    assert ended[1:3] == [("coding", "stopped_early"), ("coding", "completed")]
    assert result["facts"]["retried"] == ["coding"]


def test_an_agent_that_hands_in_rubbish_twice_is_left_to_a_person(theatre: Stager) -> None:
    def wrong(scenario: dict[str, Any]) -> None:
        rubbish = step("", {"kind": "wr.coding_handoff", "commitSubjekt": "typo"})
        turns = session_of(scenario, "coding")["turns"]
        turns[4:] = [rubbish] * 3

    stage = theatre(wrong)
    result = stage.run(pipeline="implement", code=4)
    assert result["ending"] == "escalated"
    assert phases_of(result) == ["classify", "coding", "coding", "retrospective"]
    assert [one["ending"] for one in result["phases"][1:3]] == ["blocked", "blocked"]
    note = result["why"]
    for line in ("Asked: Prices with", "Tried: coding-1 ended blocked", "Why it stops:"):
        assert f"\n{line}" in f"\n{note}"
    assert "commitSubject" in note
    assert f"worktrain logs {result['id']}/coding-2" in note
    assert stage.worktrain("status", result["id"], code=4).stdout.startswith(
        f"{result['id']} ended escalated:\n  Asked: Prices with"
    )


def test_a_check_that_fails_alike_on_the_base_is_named_and_allowed(theatre: Stager) -> None:
    stage = theatre()
    (stage.stage.repo / "tests" / "test_old.py").write_text(
        "def test_that_has_been_red_for_years():\n    assert False\n"
    )
    stage.commit("An old failure")
    stage.git("push", "-q", "origin", "main")
    result = stage.run(pipeline="implement")
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
    waiting = stage.run(pipeline="implement", code=3)
    assert waiting["waiting"]["id"] == "checks"
    assert said in waiting["waiting"]["text"]
    assert stage.git("ls-remote", "origin", "refs/heads/main").split()[0] == before
    stage.worktrain("reject", waiting["id"], code=0)
    assert stage.ended(waiting["id"])["ending"] == "rejected"
