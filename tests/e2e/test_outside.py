"""What others do while the work goes on: they push, edit the issue, turn the base red."""

from copy import deepcopy
from typing import Any

import pytest

from tests.e2e.conftest import Stager, calls, long, phases_of, proof_of, session_of, step

pytestmark = pytest.mark.e2e

LOOKS = {"command": "python -m pytest -q -p no:cacheprovider"}


def _met(*ids: str) -> list[dict[str, str]]:
    return [{"criterion": one, "met": "yes", "evidence": "Its test ran."} for one in ids]


def _verdict(**changes: Any) -> dict[str, Any]:
    clean = {"kind": "wr.review_verdict", "verdict": "clean", "confidence": "high"}
    return {**clean, "summary": "It does what was asked, and tests show it.", **changes}


# --- a push and an edit in the middle ------------------------------------------------------


def test_commits_of_others_and_an_edited_issue_are_asked_about_and_then_judged(
    theatre: Stager,
) -> None:
    def stubborn(scenario: dict[str, Any]) -> None:
        turns = session_of(scenario, "review")["turns"]
        minor, again, clean = turns[-3], turns[-2], turns[-1]
        still = deepcopy(minor)
        still["calls"][0]["input"]["artifacts"][0]["findings"][0]["known"] = "F1"
        turns[-1:] = [still, again, clean]
        for turn in (still, clean):
            turn["calls"][0]["input"]["artifacts"][0]["acceptedFiles"] = ["README.md"]

    stage = theatre(stubborn)
    stage.board.hold("review", 2)
    pipeline = stage.run("--detach")["id"]
    stage.board.until_held("review", 2)
    branch = stage.git("branch", "--list", "worktrain/*", "--format=%(refname:short)")
    colleague = stage.colleague(branch)
    (colleague / "README.md").write_text("# till\n\nReads prices, also with a comma.\n")
    theirs = stage.commit("Say what it reads", where=colleague)
    stage.git("push", "-q", "origin", branch, where=colleague)
    accepted = stage.stage.issue.read_text()
    stage.stage.issue.write_text(accepted.replace("crash the till", "stop the till"))
    stage.board.release()

    gate = stage.until(pipeline, lambda status: status["waiting"] is not None)["waiting"]
    assert gate["id"] == "foreign-commits"
    assert f"{branch} holds commits up to {theirs[:12]}" in gate["text"]
    assert "by Ada Example <ada@example.com>" in gate["text"]
    stage.worktrain("approve", pipeline, "foreign-commits", code=0)
    gate = stage.until(pipeline, lambda s: (s["waiting"] or {}).get("id") == "task-edited")
    assert "It now says: Prices with a thousands separator stop" in gate["waiting"]["text"]
    stage.worktrain("approve", pipeline, "task-edited", code=0)

    result = stage.ended(pipeline)
    assert result["ending"] == "merged", result["why"]
    assert phases_of(result) == [
        *("classify", "discovery", "shaping", "coding", "review", "fix", "retrospective")
    ]
    stage.git("fetch", "-q", "origin", "main")
    subjects = stage.git("log", "--format=%s by %an", "main..origin/main").splitlines()
    assert subjects[1] == "Say what it reads by Ada Example"
    assert "also with a comma" in stage.git("show", "origin/main:README.md")
    assert "_PRICE" in stage.git("show", "origin/main:till.py")
    proof = proof_of(stage, pipeline)
    assert [(one["gate"], one["answer"]) for one in proof["decisions"]] == [
        ("foreign-commits", "approved"),
        ("task-edited", "approved"),
    ]
    assert all(one["by"] for one in proof["decisions"])
    assert [one["verdict"]["verdict"] for one in proof["reviews"]] == ["minor", "minor", "clean"]
    assert len({one["at"]["tree"] for one in proof["reviews"]}) == 3
    assert proof["reviews"][-1]["at"]["tree"] == result["tree"]
    assert proof["task"]["title"] == "Prices with a thousands separator crash the till"
    assert any("the task was edited" in notice for notice in proof["notices"])
    shown = stage.worktrain("show", pipeline, code=0).stdout
    assert "== route feature: label 'feature'" in shown
    assert "approved foreign-commits" in shown
    stage.worktrain("verify", result["merged_commit"], code=0)


# --- the review of a branch ----------------------------------------------------------------


def test_a_branch_is_reviewed_and_the_verdict_is_put_where_its_author_looks(
    theatre: Stager,
) -> None:
    stage = theatre()
    stage.configure(review={"post": True})
    colleague = stage.colleague()
    stage.git("checkout", "-q", "-b", "ada/comma", where=colleague)
    till = colleague / "till.py"
    till.write_text(till.read_text().replace(".strip()", '.strip().replace(",", "")'))
    theirs = stage.commit("Drop commas", where=colleague)
    stage.git("push", "-q", "origin", "ada/comma", where=colleague)
    base = stage.git("ls-remote", "origin", "refs/heads/main")

    result = stage.json("run", "--branch", "ada/comma")

    assert result["ending"] == "completed"
    assert result["why"].startswith("minor, 1 findings; posted: refs/notes/worktrain-reviews")
    assert phases_of(result) == ["review"]
    assert (result["verdict"]["verdict"], result["merged_commit"]) == ("minor", None)
    assert result["route"]["pipeline"] == "review"
    stage.git("fetch", "-q", "origin", "refs/notes/worktrain-reviews:refs/notes/posted")
    note = stage.git("notes", "--ref", "posted", "show", theirs)
    assert note.startswith("Verdict: minor\n\nRight for the case in the issue")
    assert "F1, open, minor: Misplaced separators" in note
    assert "modified till.py: 1 lines added, 1 removed" in note
    assert "check 'tests': passed (base: failed)" in note
    # Nothing else was touched.
    assert stage.git("ls-remote", "origin", "refs/heads/main") == base
    assert stage.git("ls-remote", "origin", "refs/heads/ada/comma").split()[0] == theirs
    assert stage.git("branch", "--list", "worktrain/*") == ""


# --- a merge that turns the base red -------------------------------------------------------

IN_CENTS = {
    "kind": "wr.coding_handoff",
    "commitSubject": "Say that amounts are in cents",
    "filesChanged": ["till.py"],
}


def _says_cents(scenario: dict[str, Any]) -> None:
    """A second task, which changes a word in till.py."""
    title = "Title: Say cents"
    edit = {"file_path": "till.py", "old_string": "up, in cents.", "new_string": "up in cents."}
    scenario["sessions"][:0] = [
        {
            "name": "coding of the word",
            "match": f"(?s)This session is coding.*{title}",
            "turns": [
                calls(("Read", {"filePath": "till.py"}), ("Edit", edit)),
                step("One comma in the first line of till.py is gone; nothing else was touched."),
                step("", IN_CENTS),
            ],
        },
        {
            "name": "review of the word",
            "match": f"(?s)This session is a review.*{title}",
            "turns": [
                calls(("Bash", {"command": "git diff HEAD~1"})),
                step("The diff is one character of a docstring; the tests were run and pass."),
                step("", _verdict()),
            ],
        },
    ]


def test_a_merge_that_turns_the_base_red_is_taken_back_and_the_next_one_asks(
    theatre: Stager,
) -> None:
    stage = theatre(_says_cents)
    outside = stage.stage.root / "outside"
    outside.mkdir()
    weather = outside / "weather"
    weather.write_text("fair\n")
    # Red where the new code meets what is outside, and green for each alone.
    storm = f"! (grep -q storm {weather} && grep -q _PRICE till.py)"
    stage.configure(verify=[{"name": "weather", "run": storm}], sandbox={"read": [str(outside)]})
    before = stage.git("rev-parse", "HEAD")

    # A person is asked, which leaves time for the weather to change.
    waiting = stage.run("--label", "needs-human-review", pipeline="implement", code=3)
    assert "label 'needs-human-review'" in waiting["waiting"]["text"]
    weather.write_text("storm\n")
    stage.worktrain("approve", waiting["id"], "merge", code=0)
    result = stage.ended(waiting["id"])

    assert result["ending"] == "revert_opened"
    assert stage.worktrain("status", waiting["id"]).returncode == 4
    revert = f"worktrain/revert-{waiting['id'].rpartition('/')[2]}"
    assert result["reverted"]["branch"] == revert
    for said in (f"The revert is on {revert}", "worktrain lift", "'weather'"):
        assert said in result["why"]
    head, _ = stage.git("ls-remote", "origin", f"refs/heads/{revert}").split()
    stage.git("fetch", "-q", "origin", "main", revert)
    assert stage.git("rev-parse", f"{head}^") == result["merged_commit"]
    assert stage.git("rev-parse", f"{head}^{{tree}}") == stage.git(
        "rev-parse", f"{before}^{{tree}}"
    )
    assert stage.git("rev-parse", "origin/main") == result["merged_commit"]
    stage.worktrain("verify", result["merged_commit"], code=0)
    [suspended] = [one for one in stage.json("suspensions") if one["repo"] == str(stage.stage.repo)]
    assert suspended["paths"] == ["tests", "till.py"]
    assert waiting["id"] in suspended["why"]

    weather.write_text("fair\n")
    again = ("run", "Say cents", "--pipeline", "implement")
    asked = stage.json(*again, code=3)
    assert asked["waiting"]["id"] == "merge"
    assert "auto-merge below till.py is suspended" in asked["waiting"]["text"]
    stage.worktrain("reject", asked["id"], "--reason", "first the cause", code=0)
    assert stage.ended(asked["id"])["ending"] == "rejected"
    stage.worktrain("lift", suspended["id"], "--reason", "the roof is mended", code=0)
    assert [one for one in stage.json("suspensions") if one["id"] == suspended["id"]] == []
    freed = stage.json(*again)
    assert freed["ending"] == "merged"
    # Nobody was asked.
    assert (freed["decisions"], "demanded" in proof_of(stage, freed["id"])) == ([], False)


# --- slices --------------------------------------------------------------------------------

RECEIPT = '''"""Receipts of the till."""

from till import total


def last_line(prices: list[str]) -> str:
    """What stands at the end of a receipt."""
    return f"total {total(prices) / 100:.2f}"
'''
TEST_RECEIPT = """from receipt import last_line


def test_the_last_line_has_the_total() -> None:
    assert last_line(["12.50", "7"]) == "total 19.50"
"""


def _in_two_slices(scenario: dict[str, Any]) -> None:
    plans = [
        {
            "id": "S1",
            "title": "Separators",
            "goal": "parse_price takes commas between groups of three.",
            "files": ["till.py", "tests/test_till.py"],
            "check": "python -m pytest -q tests/test_till.py",
            "criteria": ["AC1", "AC2", "AC3"],
        },
        {
            "id": "S2",
            "title": "Last line",
            "goal": "A receipt ends with its total.",
            "files": ["receipt.py", "tests/test_receipt.py"],
            "check": "python -m pytest -q tests/test_receipt.py",
            "criteria": ["AC4"],
        },
    ]
    shaping = session_of(scenario, "shaping")["turns"][-1]["calls"][0]["input"]["artifacts"][0]
    shaping["acceptanceCriteria"].append(
        {"id": "AC4", "statement": "A receipt ends with the total."}
    )
    shaping |= {"slices": plans, "filesInScope": [f for one in plans for f in one["files"]]}
    fix = session_of(scenario, "fix")["turns"]
    mended = fix[-1]["calls"][0]["input"]["artifacts"][0]
    receipt = {
        "kind": "wr.coding_handoff",
        "commitSubject": "End a receipt with its total",
        "filesChanged": plans[1]["files"],
        "criteria": [
            {
                "criterion": "AC4",
                "evidence": "Its test.",
                "code": ["receipt.py"],
                "tests": ["tests/test_receipt.py::test_the_last_line_has_the_total"],
            }
        ],
    }
    separators = {key: value for key, value in mended.items() if key != "dispositions"}
    scenario["sessions"].remove(session_of(scenario, "coding"))
    scenario["sessions"] += [
        _coder(plans[0], fix[1], separators),
        _coder(
            plans[1],
            calls(
                ("Write", {"filePath": "receipt.py", "content": RECEIPT}),
                ("Write", {"filePath": "tests/test_receipt.py", "content": TEST_RECEIPT}),
            ),
            receipt,
        ),
    ]
    review = session_of(scenario, "review")["turns"]
    review[2:] = [step("", _verdict(criteria=_met("AC1", "AC2", "AC3", "AC4")))]


def _coder(plan: dict[str, Any], work: dict[str, Any], handoff: dict[str, Any]) -> dict[str, Any]:
    done = [{"item": number, "done": True} for number in range(1, 5)]
    notes = f"{plan['goal']} The check was run before and after, and passes now."
    return {
        "name": plan["id"],
        "match": f"(?s)This session is coding.*Of the whole work only the slice {plan['id']}",
        "turns": [
            work,
            calls(("Bash", LOOKS)),
            calls(("complete_step", {"notes": notes, "todo": done})),
            calls(("complete_step", {"notes": notes, "context": {"sliceState": "proven"}})),
            step("", handoff),
        ],
    }


@long
def test_two_slices_that_have_nothing_to_do_with_each_other_are_built_side_by_side(
    theatre: Stager,
) -> None:
    stage = theatre(_in_two_slices)
    for name in ("S1", "S2"):
        stage.board.hold(name, 0)
    pipeline = stage.run("--detach")["id"]
    for name in ("S1", "S2"):
        stage.board.until_held(name, 0)
    coders = [f"{pipeline}/coding-s1-1", f"{pipeline}/coding-s2-1"]
    working = stage.until(pipeline, lambda status: len(status.get("sessions", ())) == 2)
    assert working["sessions"] == coders
    assert "side by side" in stage.worktrain("status", pipeline, code=0).stdout
    stage.board.release()

    result = stage.ended(pipeline)
    assert result["ending"] == "merged", result["why"]
    assert phases_of(result) == [
        *("classify", "discovery", "shaping", "coding", "coding", "review", "retrospective")
    ]
    stage.git("fetch", "-q", "origin", "main")
    subjects = stage.git("log", "--format=%s", "main..origin/main").splitlines()
    assert subjects == ["End a receipt with its total", "Refuse misplaced thousands separators"]
    proof = proof_of(stage, pipeline)
    rows = {row["criterion"]["id"]: row for row in proof["matrix"]["rows"]}
    assert list(rows) == ["AC1", "AC2", "AC3", "AC4"]
    assert all(row["holes"] == [] for row in rows.values())
    assert rows["AC4"]["tests"] == ["tests.test_receipt::test_the_last_line_has_the_total"]
    assert result["route"]["why"] == "label 'feature'"
    assert stage.git("branch", "--list", "worktrain/*") == ""
    assert len(stage.git("worktree", "list").splitlines()) == 1
    stage.worktrain("verify", result["merged_commit"], code=0)
