"""From a task to a merged, proven commit, as a new user would run it."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Play, Stager, calls, long, phases_of, proof_of, session_of, step

pytestmark = pytest.mark.e2e

PHASES = ["classify", "discovery", "shaping", "coding", "review", "fix", "retrospective"]


def test_an_issue_becomes_a_merged_commit_whose_tree_is_the_reviewed_one(theatre: Stager) -> None:
    stage = theatre()
    base = stage.git("rev-parse", "origin/main")

    result = stage.run()

    assert result["ending"] == "merged"
    # The reviewer is the same session both times: it was parked in between.
    assert phases_of(result) == PHASES
    assert all(phase["ending"] == "completed" for phase in result["phases"])
    assert result["cost_usd"] > 0
    stage.git("fetch", "-q", "origin", "main", "refs/notes/worktrain:refs/notes/worktrain")
    assert stage.git("rev-parse", "origin/main") == result["merged_commit"]
    assert stage.git("rev-parse", "origin/main^{tree}") == result["tree"]
    proof = proof_of(stage, result["id"])
    first, clean = proof["reviews"]
    assert (first["verdict"]["verdict"], clean["verdict"]["verdict"]) == ("minor", "clean")
    assert first["session"] == clean["session"]
    assert clean["at"]["tree"] == result["tree"]
    assert proof["base"]["commit"] == base
    assert proof["matrix"]["tree"] == result["tree"]
    assert [row["holes"] for row in proof["matrix"]["rows"]] == [[], [], []]
    assert [one["standing"] for one in proof["ledger"]["entries"]] == ["fixed"]
    shown = stage.worktrain("show", result["id"], code=0).stdout
    assert "== route feature: label 'feature'" in shown
    assert "discovery (discovery) runs: what is to be built is open" in shown
    assert "AC3 covered" in shown
    # The user's own checkout is as it was.
    assert stage.git("rev-parse", "HEAD") == base
    assert stage.git("status", "--porcelain") == ""
    assert stage.git("branch", "--list", "worktrain/*") == ""
    assert len(stage.git("worktree", "list").splitlines()) == 1

    assert "holds" in stage.worktrain("verify", result["merged_commit"], code=0).stdout
    note = stage.git("notes", "--ref", "worktrain", "show", result["merged_commit"])
    forged = note.replace("A cashier typed", "A cashier types", 1)
    stage.git(
        *("-c", "user.name=Mallory", "-c", "user.email=mallory@example.com"),
        *("notes", "--ref", "worktrain", "add", "-f", "-m", forged, result["merged_commit"]),
    )
    assert "altered" in stage.worktrain("verify", result["merged_commit"], code=1).stdout


def test_the_same_task_is_worked_on_once_and_a_second_run_attaches(theatre: Stager) -> None:
    stage = theatre()
    stage.board.hold("coding", 0)
    first = stage.run("--detach", pipeline="implement")
    stage.board.until_held("coding", 0)
    second = stage.start("run", "--pipeline", "implement", "--issue", str(stage.stage.issue))
    assert second.stdout is not None
    assert second.stdout.readline().strip() == (
        f"{first['id']} is at work on this task already; watching it"
    )
    stage.board.release()
    told, _ = second.communicate(timeout=60)
    assert (second.returncode, f"{first['id']} ended merged" in told) == (0, True)
    asked = stage.model_calls()
    assert len({call["digest"] for call in asked}) == len(asked)


def test_with_the_policy_ask_the_merge_waits_for_a_person_who_says_no_and_then_yes(
    theatre: Stager,
) -> None:
    stage = theatre()
    stage.configure(merge={"policy": "ask"})

    waiting = stage.run(pipeline="implement", code=3)
    assert (waiting["ending"], waiting["waiting"]["kind"]) == (None, "gate")
    assert "the workspace asks before every merge" in waiting["waiting"]["text"]
    assert waiting["route"]["why"] == "asked for"
    stage.worktrain("reject", waiting["id"], "--reason", "not this week", code=0)
    rejected = stage.ended(waiting["id"])
    assert rejected["ending"] == "rejected"
    assert "not this week" in rejected["why"]
    assert stage.git("branch", "--list", "worktrain/*").strip() == rejected["branch"]
    head = stage.git("ls-remote", "origin", "refs/heads/main").split()[0]
    assert head == stage.git("rev-parse", "HEAD")

    again = stage.run(pipeline="implement", code=3)
    stage.worktrain("approve", again["id"], "merge", code=0)
    result = stage.ended(again["id"])
    assert result["ending"] == "merged"
    decided = proof_of(stage, result["id"])["decisions"]
    assert [(one["gate"], one["answer"]) for one in decided] == [("merge", "approved")]
    assert proof_of(stage, result["id"])["demanded"] == ["the workspace asks before every merge"]


# --- a base that moves ---------------------------------------------------------------------


def _while_it_is_mended(stage: Play) -> str:
    """Begin a pipeline, and wait until there is a candidate on which a fix session is at work."""
    stage.board.hold("fix", 1)
    pipeline = str(stage.run("--detach")["id"])
    stage.board.until_held("fix", 1)
    return pipeline


def test_a_base_that_moved_is_rebased_onto_and_everything_is_judged_again(theatre: Stager) -> None:
    stage = theatre(_looks_once_more)
    pipeline = _while_it_is_mended(stage)
    colleague = stage.colleague()
    (colleague / "CHANGES.md").write_text("A file that nobody else touches.\n")
    theirs = stage.commit("Add a change log", where=colleague)
    stage.git("push", "-q", "origin", "main", where=colleague)
    stage.board.release()

    result = stage.ended(pipeline)
    assert result["ending"] == "merged"
    proof = proof_of(stage, pipeline)
    assert proof["base"]["commit"] == theirs
    assert proof["verification"]["base"]["commit"] == theirs
    assert proof["reviews"][-1]["at"]["tree"] == result["tree"]
    assert len({review["at"]["tree"] for review in proof["reviews"]}) == len(proof["reviews"]) == 3
    assert result["facts"]["rebases"] == 1
    stage.git("fetch", "-q", "origin", "main")
    assert "CHANGES.md" in stage.git("ls-tree", "--name-only", "origin/main").splitlines()
    stage.worktrain("verify", result["merged_commit"], code=0)


def _looks_once_more(scenario: dict[str, Any]) -> None:
    """The reviewer is asked a third time, and looks as it did the second time."""
    turns = session_of(scenario, "review")["turns"]
    turns += turns[-2:]


EURO = ".lstrip('€')"


def _conflicting(stage: Play) -> tuple[str, str]:
    """A pipeline on whose base a colleague changed the same line; and their commit."""
    pipeline = _while_it_is_mended(stage)
    colleague = stage.colleague()
    till = colleague / "till.py"
    till.write_text(till.read_text().replace("text.strip()", f"text.strip(){EURO}"))
    theirs = stage.commit("Accept a currency sign", where=colleague)
    stage.git("push", "-q", "origin", "main", where=colleague)
    stage.board.release()
    return pipeline, theirs


def _both(scenario: dict[str, Any]) -> str:
    """What till.py is when both sides are kept."""
    mended = session_of(scenario, "fix")["turns"][1]["calls"][0]["input"]["content"]
    return str(mended).replace("text.strip()", f"text.strip(){EURO}")


def _with_a_rebase(scenario: dict[str, Any], *turns: dict[str, Any]) -> None:
    _looks_once_more(scenario)
    match = "This session brings a change onto code that has moved on"
    scenario["sessions"].append({"name": "rebase", "match": match, "turns": list(turns)})


def test_a_conflict_is_settled_by_a_session_and_everything_is_judged_again(theatre: Stager) -> None:
    def settles(scenario: dict[str, Any]) -> None:
        fix = session_of(scenario, "fix")["turns"]
        _with_a_rebase(
            scenario,
            calls(
                ("Write", {"filePath": "till.py", "content": _both(scenario)}),
                ("Edit", fix[1]["calls"][1]["input"]),
                ("Bash", {"command": "python -m pytest -q -p no:cacheprovider"}),
            ),
            step("till.py: the sign is stripped first, then the expression reads what is left."),
            fix[-1],
        )

    stage = theatre(settles)
    pipeline, theirs = _conflicting(stage)
    result = stage.ended(pipeline)
    assert result["ending"] == "merged"
    assert phases_of(result) == [*PHASES[:-1], "rebase", "retrospective"]
    stage.git("fetch", "-q", "origin", "main")
    assert stage.git("merge-base", theirs, "origin/main") == theirs
    assert EURO in stage.git("show", "origin/main:till.py")
    proof = proof_of(stage, pipeline)
    assert proof["reviews"][-1]["at"]["tree"] == result["tree"]
    assert proof["decisions"] == []
    assert stage.git("branch", "--list", "worktrain/*") == ""
    stage.worktrain("verify", result["merged_commit"], code=0)


@long
def test_a_conflict_that_no_session_settles_is_settled_by_hand_and_judged_again(
    theatre: Stager,
) -> None:
    claim = {"kind": "wr.coding_handoff", "commitSubjekt": "It cannot be brought together"}
    stage = theatre(
        lambda scenario: _with_a_rebase(
            scenario,
            step("Both sides change the same line of till.py, and I cannot tell what was meant."),
            *[step("", claim)] * 3,
        )
    )
    pipeline, theirs = _conflicting(stage)
    waiting = stage.until(pipeline, lambda status: status["waiting"] is not None)["waiting"]
    assert waiting["id"] == "conflict"
    text = waiting["text"]
    assert "main conflicts with this change in till.py" in text
    assert stage.git("ls-remote", "origin", "refs/heads/main").split()[0] == theirs
    told = re.search(r"checked out in (/\S+); it has .* hold the change, (\w+)\.\.(\w+)\.", text)
    assert told is not None
    worktree = Path(told[1])
    stage.git("checkout", told[3], "--", ".", where=worktree)
    till = worktree / "till.py"
    till.write_text(till.read_text().replace("text.strip()", f"text.strip(){EURO}"))
    stage.commit("Both, by hand", where=worktree)
    stage.worktrain("approve", pipeline, "conflict", code=0)
    result = stage.ended(pipeline)
    assert result["ending"] == "merged", result["why"]
    stage.git("fetch", "-q", "origin", "main")
    assert stage.git("merge-base", theirs, "origin/main") == theirs
    assert EURO in stage.git("show", "origin/main:till.py")
    proof = proof_of(stage, pipeline)
    assert proof["reviews"][-1]["at"]["tree"] == result["tree"]
    assert [one["gate"] for one in proof["decisions"]] == ["conflict"]
    stage.worktrain("verify", result["merged_commit"], code=0)
