"""From a task to a merged, proven commit, as a new user would run it."""

import contextlib
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Stager, Theatre, delayed, proof_of

pytestmark = pytest.mark.e2e

PHASES = ["discovery", "shaping", "coding", "review", "fix", "review"]


def test_an_issue_becomes_a_merged_commit_whose_tree_is_the_reviewed_one(theatre: Stager) -> None:
    stage = theatre()
    base = stage.git("rev-parse", "origin/main")

    result = stage.json("run", "--issue", str(stage.stage.issue))

    assert result["ending"] == "merged"
    assert [phase["phase"] for phase in result["phases"]] == PHASES
    assert all(phase["ending"] == "completed" for phase in result["phases"])
    assert result["cost_usd"] > 0
    stage.git("fetch", "-q", "origin", "main", "refs/notes/worktrain:refs/notes/worktrain")
    assert stage.git("rev-parse", "origin/main") == result["merged_commit"]
    assert stage.git("rev-parse", "origin/main^{tree}") == result["tree"]
    proof = proof_of(stage, result["id"])
    clean = proof["reviews"][-1]
    assert clean["verdict"]["verdict"] == "clean"
    assert clean["at"]["tree"] == result["tree"]
    assert proof["reviews"][0]["verdict"]["verdict"] == "minor"
    assert proof["base"]["commit"] == base
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
    stage = theatre(delayed(0.4))
    first = stage.json("run", "--issue", str(stage.stage.issue), "--detach")
    second = stage.json("run", "--issue", str(stage.stage.issue))
    assert second["id"] == first["id"]
    assert second["ending"] == "merged"
    calls = stage.model_calls()
    assert len({call["digest"] for call in calls}) == len(calls)


def test_with_the_policy_ask_the_merge_waits_for_an_approval(theatre: Stager) -> None:
    stage = theatre()
    config = stage.stage.repo / ".worktrain" / "config.yml"
    config.write_text(config.read_text().replace("policy: auto", "policy: ask"))
    stage.commit("Ask before merging")
    stage.git("push", "-q", "origin", "main")

    waiting = stage.json("run", "--pipeline", "quick", "--issue", str(stage.stage.issue), code=3)
    assert waiting["ending"] is None
    assert waiting["waiting"]["kind"] == "gate"
    before = stage.git("ls-remote", "origin", "refs/heads/main").split()[0]
    assert before == stage.git("rev-parse", "HEAD")

    stage.worktrain("approve", waiting["id"], "merge", code=0)
    result = stage.ended(waiting["id"])
    assert result["ending"] == "merged"
    decided = proof_of(stage, result["id"])["decisions"]
    assert [(one["gate"], one["answer"]) for one in decided] == [("merge", "approved")]


def test_a_rejected_merge_leaves_the_branch_and_ends(theatre: Stager) -> None:
    stage = theatre()
    config = stage.stage.repo / ".worktrain" / "config.yml"
    config.write_text(config.read_text().replace("policy: auto", "policy: ask"))
    stage.commit("Ask before merging")
    stage.git("push", "-q", "origin", "main")
    waiting = stage.json("run", "--pipeline", "quick", "--issue", str(stage.stage.issue), code=3)
    stage.worktrain("reject", waiting["id"], "--reason", "not this week", code=0)
    result = stage.ended(waiting["id"])
    assert result["ending"] == "rejected"
    assert "not this week" in result["why"]
    assert stage.git("branch", "--list", "worktrain/*") != ""


def test_a_base_that_moved_is_rebased_onto_and_everything_is_judged_again(
    theatre: Stager, tmp_path: Path
) -> None:
    stage = theatre(delayed(0.3, only=["fix"]))
    begun = _begun(stage)
    colleague = tmp_path / "colleague"
    stage.git("clone", "-q", str(stage.stage.origin), str(colleague))
    (colleague / "CHANGES.md").write_text("A file that nobody else touches.\n")
    theirs = stage.commit("Add a change log", where=colleague)
    stage.git("push", "-q", "origin", "main", where=colleague)

    result = stage.json("run", "--issue", str(stage.stage.issue))
    assert result["id"] == begun
    assert result["ending"] == "merged"
    proof = proof_of(stage, result["id"])
    assert proof["base"]["commit"] == theirs
    assert proof["verification"]["base"]["commit"] == theirs
    assert proof["reviews"][-1]["at"]["tree"] == result["tree"]
    stage.git("fetch", "-q", "origin", "main")
    assert "CHANGES.md" in stage.git("ls-tree", "--name-only", "origin/main").splitlines()


def _begun(stage: Theatre) -> str:
    """Start the pipeline, and wait until it has taken its base."""
    pipeline = str(stage.json("run", "--issue", str(stage.stage.issue), "--detach")["id"])
    stage.until(pipeline, lambda status: status.get("session") is not None)
    return pipeline


def _conflicting(stage: Theatre, colleague: Path) -> tuple[dict[str, Any], str]:
    """A pipeline that waits because a colleague changed the same line; and their commit."""
    _begun(stage)
    stage.git("clone", "-q", str(stage.stage.origin), str(colleague))
    till = colleague / "till.py"
    till.write_text(till.read_text().replace("text.strip()", "text.strip().lstrip('€')"))
    theirs = stage.commit("Accept a currency sign", where=colleague)
    stage.git("push", "-q", "origin", "main", where=colleague)
    waiting = stage.json("run", "--issue", str(stage.stage.issue), code=3)
    assert waiting["waiting"]["id"] == "conflict"
    assert "till.py" in waiting["waiting"]["text"]
    assert stage.git("ls-remote", "origin", "refs/heads/main").split()[0] == theirs
    return waiting, theirs


def test_a_base_that_moved_and_conflicts_stops_and_asks(theatre: Stager, tmp_path: Path) -> None:
    stage = theatre(delayed(0.3, only=["fix"]))
    waiting, _ = _conflicting(stage, tmp_path / "colleague")
    stage.worktrain("reject", waiting["id"], code=0)
    assert stage.ended(waiting["id"])["ending"] == "rejected"
    assert stage.git("branch", "--list", "worktrain/*") != ""


def test_a_conflict_settled_by_hand_is_reviewed_verified_and_merged(
    theatre: Stager, tmp_path: Path
) -> None:
    stage = theatre(delayed(0.3, only=["fix"]))
    waiting, theirs = _conflicting(stage, tmp_path / "colleague")
    found = re.search(r" in (/\S+) by hand", waiting["waiting"]["text"])
    assert found is not None
    worktree = Path(found[1])
    ours = (worktree / "till.py").read_text()
    with contextlib.suppress(subprocess.CalledProcessError):
        stage.git("rebase", theirs, where=worktree)
    while (worktree / "till.py").read_text() != ours or _rebasing(stage, worktree):
        (worktree / "till.py").write_text(ours)
        stage.git("add", "till.py", where=worktree)
        with contextlib.suppress(subprocess.CalledProcessError):
            stage.git("-c", "core.editor=true", "rebase", "--continue", where=worktree)
    stage.worktrain("approve", waiting["id"], "conflict", code=0)
    result = stage.ended(waiting["id"])
    assert result["ending"] == "merged"
    stage.git("fetch", "-q", "origin", "main")
    assert stage.git("merge-base", theirs, "origin/main") == theirs
    assert proof_of(stage, waiting["id"])["reviews"][-1]["at"]["tree"] == result["tree"]


def _rebasing(stage: Theatre, worktree: Path) -> bool:
    return Path(stage.git("rev-parse", "--git-path", "rebase-merge", where=worktree)).exists()
