"""The command line as a shell sees it: words in; text or JSON and an exit code out."""

import asyncio
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from worktrain.adapters.stores.sql import SqlStore
from worktrain.cli import account, screen
from worktrain.cli.exits import BY_ENDING
from worktrain.cli.main import COMMANDS, cli
from worktrain.cli.picture import Lines, ended, go_on_from, running, waits
from worktrain.cli.run import KINDS, kind_of, task_of
from worktrain.cli.standing import exit_of, facts, waiting
from worktrain.contracts.artifact import Confidence, Finding, ReviewVerdict, Severity
from worktrain.contracts.failure import Failure, FailureKind
from worktrain.contracts.pipeline import (
    PipelineEnding,
    PipelineRequest,
    PipelineResult,
    PipelineView,
    Told,
)
from worktrain.contracts.proof import Decision, PhaseRecord
from worktrain.contracts.route import Demand, Phase, PipelineKind, Route, Stage
from worktrain.contracts.session import Question, SessionClosed, SessionView
from worktrain.contracts.steering import Gate
from worktrain.contracts.task import Task
from worktrain.contracts.turn import Usage
from worktrain.coordinators.intent import TASK_BYTES_MAX
from worktrain.settings import load

HELP_CPU_S_MAX = 0.2
NAME = "task/shop-1a2b/fix-the-login-3c4d"

RECORD = PhaseRecord(
    phase="coding",
    session=f"{NAME}/coding-1",
    spec="coding-task",
    script="0" * 64,
    ending="completed",
    turns=7,
    usage=Usage(input=1000, output=234),
    cost_microdollars=250_000,
    model="some-model",
)
MERGED = PipelineResult(
    id=NAME,
    ending=PipelineEnding.MERGED,
    why="merged into main",
    merged_commit="c" * 40,
    tree="d" * 40,
    cost_usd=0.25,
    tokens=1234,
    phases=(RECORD,),
)

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Calls the command line with a home and an environment of its own."""
    for name in [n for n in os.environ if n.startswith(("ANTHROPIC_", "TEMPORAL_", "WORKTRAIN_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WORKTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return lambda *words: CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture
def repo(tmp_path: Path, run: Run) -> Path:
    """A repository with one commit."""
    place = tmp_path / "shop"
    place.mkdir()
    git(place, "init", "-q", "-b", "main")
    (place / "a.txt").write_text("one\n")
    commit(place)
    return place


def git(place: Path, *words: str) -> str:
    who = ("-c", "user.name=Olive", "-c", "user.email=olive@example.invalid")
    done = subprocess.run(
        ["git", "-C", str(place), *who, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit(place: Path) -> None:
    git(place, "add", "-A")
    git(place, "commit", "-q", "-m", "Something")


# --- the top level ------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_the_top_level_answers_within_200_ms_of_cpu(word: str) -> None:
    def spent() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    call = [sys.executable, "-m", "worktrain.cli.main", word]
    subprocess.run(call, capture_output=True, check=True)
    before = spent()
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert spent() - before < HELP_CPU_S_MAX
    assert "worktrain" in done.stdout


def test_the_top_level_imports_nothing_of_ours_but_itself() -> None:
    look = (
        "import sys; import worktrain.cli.main; "
        "print([m for m in sys.modules if m.startswith(('worktrain', 'pydantic', 'rich', 'temp'))])"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['worktrain', 'worktrain.cli', 'worktrain.cli.main']"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_all_but_the_demo_have_json(run: Run, name: str) -> None:
    shown = run(name, "--help")
    assert shown.exit_code == 0, shown.stderr
    if name not in ("spec", "demo"):
        assert "--json" in shown.stdout


def test_a_command_that_is_not_there_is_met_with_the_nearest_one(run: Run) -> None:
    failed = run("stauts")
    assert failed.exit_code == 2
    assert "There is no command 'stauts'; did you mean 'status'?" in failed.stderr
    assert failed.stdout == ""


def test_a_usage_error_with_json_is_one_object_on_stdout(run: Run) -> None:
    failed = run("steer", "--json")
    assert failed.exit_code == 2
    assert json.loads(failed.stdout) == {"error": "Missing argument 'ID'.", "kind": "usage"}
    assert failed.stderr == ""


def test_an_unforeseen_failure_says_where_it_was_written_down(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(click.Command):
        def invoke(self, ctx: click.Context) -> Any:
            raise ZeroDivisionError("surprise")

    monkeypatch.setattr("worktrain.cli.serving.down", Broken("down"))
    failed = run("down")
    log = tmp_path / "home" / "logs" / "cli.log"
    assert failed.exit_code == 1
    assert str(log) in failed.stderr
    assert "Traceback" not in failed.stderr
    assert "surprise" in log.read_text()


def test_settings_that_cannot_be_read_are_told_in_one_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "settings.yml").write_text("task_queu: x\n")
    failed = run("status", "--json")
    told = json.loads(failed.stdout)
    assert (failed.exit_code, told["kind"]) == (2, "misconfigured")
    assert 'unknown key "task_queu"; did you mean "task_queue"?' in told["error"]


# --- run: what is refused before anything is started -----------------------------------------


@pytest.mark.parametrize("words", [(), ("",), (" \n ",)])
def test_a_task_without_words_is_refused(run: Run, words: tuple[str, ...]) -> None:
    failed = run("run", *words, "--json")
    assert failed.exit_code == 2
    assert json.loads(failed.stdout)["error"].startswith("There is no task: say in words")


def test_a_pipeline_of_an_unknown_kind_is_refused(run: Run) -> None:
    failed = run("run", "Fix it", "--pipeline", "slow")
    assert failed.exit_code == 2
    assert (
        "'slow' is not one of 'auto', 'feature', 'implement', 'quick', 'review', 'bugfix'"
        in failed.stderr
    )


def test_a_directory_that_is_no_repository_is_refused(run: Run) -> None:
    failed = run("run", "Fix it")
    assert failed.exit_code == 2
    assert "not a git repository" in failed.stderr
    assert "git init" in failed.stderr


def test_a_repository_without_commits_is_refused(run: Run, tmp_path: Path) -> None:
    git(tmp_path / "here", "init", "-q")
    failed = run("run", "Fix it")
    assert failed.exit_code == 2
    assert "make a first commit" in failed.stderr


def test_a_base_branch_that_is_not_there_is_refused(run: Run, repo: Path) -> None:
    (repo / ".worktrain").mkdir()
    (repo / ".worktrain" / "config.yml").write_text("base: trunk\n")
    commit(repo)
    failed = run("run", "Fix it", "--repo", repo)
    assert failed.exit_code == 2
    assert "'trunk'" in failed.stderr


def test_a_broken_configuration_is_refused_with_line_and_column(run: Run, repo: Path) -> None:
    (repo / ".worktrain").mkdir()
    (repo / ".worktrain" / "config.yml").write_text("merge:\n  polcy: auto\n")
    commit(repo)
    failed = run("run", "Fix it", "--repo", repo, "--json")
    assert failed.exit_code == 2
    assert json.loads(failed.stdout) == {
        "error": 'main:.worktrain/config.yml:2:3: unknown key "polcy"; did you mean "policy"?',
        "kind": "misconfigured",
    }


def test_uncommitted_changes_are_named_up_to_five_and_refused(run: Run, repo: Path) -> None:
    for number in range(7):
        (repo / f"new-{number}.txt").write_text("x")
    failed = run("run", "Fix it", "--repo", repo)
    assert failed.exit_code == 2
    assert "new-0.txt, new-1.txt, new-2.txt, new-3.txt, new-4.txt and 2 more" in failed.stderr
    assert "commit or stash them, or pass --allow-dirty" in failed.stderr


def test_uncommitted_changes_may_be_allowed_and_then_the_missing_key_is_told(
    run: Run, repo: Path
) -> None:
    (repo / "new.txt").write_text("x")
    (repo / "below").mkdir()
    failed = run("run", "Fix it", "--repo", repo / "below", "--allow-dirty")
    assert failed.exit_code == 2
    assert "Set ANTHROPIC_API_KEY" in failed.stderr
    assert git(repo, "status", "--porcelain") == "?? new.txt"


def test_nothing_is_started_for_a_run_that_is_refused(run: Run, repo: Path, tmp_path: Path) -> None:
    run("run", "Fix it", "--repo", repo)
    assert not (tmp_path / "home").exists()


# --- run: what the task is -------------------------------------------------------------------


def test_a_typed_task_has_its_title_in_the_first_line() -> None:
    assert task_of("Fix the login\n\nIt fails.\n", None) == Task(
        source="typed", title="Fix the login", body="It fails."
    )


@pytest.mark.parametrize("mark", ["", "# ", "### ", "\ufeff# ", "\n\n# "])
def test_an_issue_file_has_its_title_in_the_first_line(tmp_path: Path, mark: str) -> None:
    issue = tmp_path / "login.md"
    issue.write_text(f"{mark}Fix the login\n\nIt fails.\n", encoding="utf-8")
    assert task_of(None, issue) == Task(
        source="issue:login.md", title="Fix the login", body="It fails.", place=str(issue)
    )


def test_a_typed_task_is_the_title_of_an_issue_file(tmp_path: Path) -> None:
    issue = tmp_path / "login.md"
    issue.write_text("# Login\nIt fails.\n")
    assert task_of("Only the first half", issue) == Task(
        source="issue:login.md",
        title="Only the first half",
        body="# Login\nIt fails.",
        place=str(issue),
    )


def test_labels_come_from_the_front_matter_and_from_the_options_each_once(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue = tmp_path / "login.md"
    issue.write_text("---\nlabels: [bug, p1]\nowner: olive\n---\n# Fix the login\n\nIt fails.\n")
    monkeypatch.chdir(tmp_path)
    task = task_of(None, Path("login.md"), ["Good  first issue", "bug"])
    assert task == Task(
        source="issue:login.md",
        title="Fix the login",
        body="It fails.",
        labels=("bug", "p1", "Good first issue"),
        place=str(issue),
    )
    assert task_of("Fix it", None, ["bug"]).labels == ("bug",)


@pytest.mark.parametrize("labels", [[""], ["x" * 101], [f"label-{number}" for number in range(31)]])
def test_labels_that_nobody_could_mean_are_refused(run: Run, labels: list[str]) -> None:
    failed = run("run", "Fix it", *(word for label in labels for word in ("--label", label)))
    assert failed.exit_code == 2
    assert "at most 30 labels of 1 to 100 characters" in failed.stderr


# --- run: which pipeline -----------------------------------------------------------------------


def test_a_pipeline_is_chosen_by_labels_and_classification_unless_it_is_named(run: Run) -> None:
    shown = run("run", "--help").stdout
    assert "[default: auto]" in shown
    assert "spec" not in [kind.value for kind in KINDS]
    assert kind_of(PipelineKind.AUTO, None) is PipelineKind.AUTO


@pytest.mark.parametrize("kind", [PipelineKind.AUTO, PipelineKind.REVIEW])
def test_whoever_names_a_branch_asks_for_its_review(kind: PipelineKind) -> None:
    assert kind_of(kind, "fix/login") is PipelineKind.REVIEW
    assert task_of(None, None, branch="fix/login") == Task(
        source="branch:fix/login", title="Review fix/login"
    )


def test_a_review_may_have_a_title_or_an_issue_of_its_own(tmp_path: Path) -> None:
    assert task_of("Is it safe?", None, branch="x").title == "Is it safe?"
    issue = tmp_path / "login.md"
    issue.write_text("Fix the login\n\nIt fails.\n")
    assert task_of(None, issue, branch="x") == Task(
        source="branch:x", title="Fix the login", body="It fails.", place=str(issue)
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--pipeline", "review"), "name the branch with --branch"),
        (("--pipeline", "quick", "--branch", "x"), "leave --branch out, or say --pipeline review"),
        (("--branch", ""), "no name of a branch"),
        (("--branch", "-x"), "no name of a branch"),
        (("--branch", "two words"), "no name of a branch"),
        (("--branch", "x" * 201), "no name of a branch"),
        (("--override-reason", "I know it"), "name it with --pipeline"),
        (("--pipeline", "auto", "--override-reason", "I know it"), "name it with --pipeline"),
        (("--pipeline", "quick", "--override-reason", " "), "a sentence of 1 to 500 characters"),
        (("--pipeline", "quick", "--override-reason", "x" * 501), "1 to 500 characters"),
    ],
)
def test_a_choice_that_cannot_be_meant_is_refused(
    run: Run, words: tuple[str, ...], said: str
) -> None:
    failed = run("run", "Fix it", *words)
    assert failed.exit_code == 2
    assert said in " ".join(failed.stderr.split())


def test_an_override_with_its_reason_is_taken(run: Run, repo: Path) -> None:
    words = ("--pipeline", "quick", "--override-reason", "One word changes.")
    failed = run("run", "Fix it", "--repo", repo, *words)
    # All that was said is in order, and the missing key is the first thing that is not.
    assert "Set ANTHROPIC_API_KEY" in failed.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no title"),
        (b" \n\n", "no title"),
        (b"##\nbody", "no title"),
        (b"\xff\xfe", "not UTF-8"),
        (b"x" * (TASK_BYTES_MAX + 1), "longer than 200,000 bytes"),
        ("é".encode() * 2 * TASK_BYTES_MAX, "longer than 200,000 bytes"),
        (b"---\nlabels: [bug]\n", "has no second such line"),
        (b"---\nlabels: [bug\n---\nFix it", "no YAML, line 2"),
        (b"---\nlabels: bug\n---\nFix it", "as a list of texts"),
    ],
)
def test_an_issue_file_that_is_no_task_is_refused(
    run: Run, tmp_path: Path, content: bytes, said: str
) -> None:
    issue = tmp_path / "issue.md"
    issue.write_bytes(content)
    failed = run("run", "--issue", issue)
    assert failed.exit_code == 2
    assert said in failed.stderr


def test_a_task_that_is_not_text_is_refused(run: Run) -> None:
    failed = run("run", "Fix \udcff")
    assert failed.exit_code == 2
    assert "TASK is not UTF-8 text" in failed.stderr


# --- how a pipeline stands ---------------------------------------------------------------------


def test_every_ending_has_an_exit_code() -> None:
    assert {ending.value: int(BY_ENDING[ending]) for ending in PipelineEnding} == {
        "merged": 0,
        "completed": 0,
        "no_change": 1,
        "rejected": 1,
        "unanswered": 4,
        "escalated": 4,
        "out_of_budget": 4,
        "revert_opened": 4,
        "failed": 1,
        "killed": 1,
    }


def test_an_ended_pipeline_is_told_with_all_its_facts() -> None:
    assert facts(NAME, MERGED) == {
        "id": NAME,
        "state": "merged",
        "ending": "merged",
        "why": "merged into main",
        "merged_commit": "c" * 40,
        "tree": "d" * 40,
        "branch": None,
        "proof": None,
        "cost_usd": 0.25,
        "tokens": 1234,
        "phases": [
            {
                "phase": "coding",
                "session": f"{NAME}/coding-1",
                "ending": "completed",
                "turns": 7,
                "cost_usd": 0.25,
                "tokens": 1234,
                "model": "some-model",
                "spec": "coding-task",
            }
        ],
        "waiting": None,
        "route": None,
        "decisions": [],
        "told": [],
        "passes": 0,
        "verdict": None,
        "ledger": None,
        "matrix": None,
        "reverted": None,
        "facts": {},
        "lessons": [],
        "root_cause": "",
    }
    assert exit_of(MERGED) == 0


def test_an_account_is_told_with_route_criteria_findings_decisions_and_lessons(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = MERGED.model_copy(
        update={
            "route": ROUTE,
            "decisions": (Decision(gate="merge", answer="approved", by="olive", reason="Seen."),),
            "told": (WARNING,),
            "lessons": ("Mind the \x1b[2Jcache.",),
            "root_cause": "Nothing names the cache.",
        }
    )
    account.given(result)
    assert capsys.readouterr().out.splitlines() == [
        "",
        "== route quick: label 'quick'",
        "  coding (quick-task) runs: a small change",
        "  demanded before a merge: human: the risk is High",
        "",
        "== decided by people",
        "  olive approved merge: Seen.",
        "told in coding: 80 % of the money is spent",
        "",
        "== learnt",
        "  - Mind the \\u001b[2Jcache.",
        "  root cause: Nothing names the cache.",
    ]
    told = facts(NAME, result)
    assert facts(NAME, AT_WORK).keys() >= told.keys()
    assert told["route"]["why"] == "label 'quick'"
    assert told["decisions"][0]["by"] == "olive"


def test_a_note_to_a_person_is_printed_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    why = "Asked: Fix the login.\nWhy it stops: nothing helped."
    ended(MERGED.model_copy(update={"ending": PipelineEnding.ESCALATED, "why": why}), None)
    assert capsys.readouterr().out.startswith(
        f"{NAME} ended escalated:\n  Asked: Fix the login.\n  Why it stops: nothing helped.\n"
    )
    ended(MERGED, None)
    assert capsys.readouterr().out.startswith(f"{NAME} ended merged: merged into main\n")


WARNING = Told(at="coding", said="80 % of the money is spent")
ROUTE = Route(
    pipeline=PipelineKind.QUICK,
    why="label 'quick'",
    stages=(Stage(phase=Phase.CODING, spec="quick-task", runs=True, why="a small change"),),
    demands=(Demand(gate="human", detail="", why="the risk is High"),),
)
AT_WORK = PipelineView(id=NAME, title="Fix the login", phase="coding", records=(RECORD,))
SESSION = SessionView(session=f"{NAME}/fix-1", phase="fix")


@pytest.mark.parametrize(
    ("view", "kind", "awaited", "command"),
    [
        (
            AT_WORK.model_copy(update={"gate": Gate(id="merge", text="Merge?")}),
            "gate",
            "merge",
            f"worktrain approve {NAME} merge",
        ),
        (
            AT_WORK.model_copy(update={"question": Question(id="q1", text="Which?")}),
            "question",
            "q1",
            f"worktrain answer {NAME} q1 TEXT",
        ),
        (
            AT_WORK.model_copy(
                update={"question": Question(id="q1", text="Which?", options=("the first", "no"))}
            ),
            "question",
            "q1",
            f"worktrain answer {NAME} q1 'the first'",
        ),
        (
            AT_WORK.model_copy(
                update={"held": Failure(kind=FailureKind.AUTH, said="The key is wrong.")}
            ),
            "held",
            "auth",
            f"worktrain resume {NAME}",
        ),
        (
            AT_WORK.model_copy(
                update={
                    "running": SESSION.model_copy(
                        update={"held": Failure(kind=FailureKind.DISK_FULL, said="Full.")}
                    )
                }
            ),
            "held",
            "disk_full",
            f"worktrain resume {NAME}",
        ),
        (
            AT_WORK.model_copy(update={"running": SESSION.model_copy(update={"paused": True})}),
            "paused",
            NAME,
            f"worktrain resume {NAME}",
        ),
    ],
)
def test_what_a_pipeline_waits_for_is_told_with_the_command_that_answers_it(
    view: PipelineView, kind: str, awaited: str, command: str
) -> None:
    told = facts(NAME, view)
    assert (told["ending"], told["waiting"]["kind"], told["waiting"]["id"]) == (None, kind, awaited)
    assert told["waiting"]["commands"][0] == command
    assert told["waiting"]["text"]
    assert exit_of(view) == 3


def test_a_gate_is_printed_with_its_text_and_both_commands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    gate = Gate(id="merge", text="Merge it?\nNote: \x1b[2Jone.")
    wait = waiting(AT_WORK.model_copy(update={"gate": gate}))
    assert wait is not None
    waits(NAME, wait)
    assert capsys.readouterr().out == (
        f"{NAME} waits for you at gate merge\n"
        "  Merge it?\n"
        "  Note: \\u001b[2Jone.\n"
        "answer with:\n"
        f"  worktrain approve {NAME} merge\n"
        f"  worktrain reject {NAME} merge --reason WHY\n"
    )


def test_a_pipeline_at_work_waits_for_nobody() -> None:
    view = AT_WORK.model_copy(
        update={
            "cost_microdollars": 250_000,
            "usage": Usage(input=1000),
            "running": SESSION.model_copy(
                update={"cost_microdollars": 500_000, "usage": Usage(output=24)}
            ),
        }
    )
    assert waiting(view) is None
    assert exit_of(view) == 0
    assert (facts(NAME, view)["cost_usd"], facts(NAME, view)["tokens"]) == (0.75, 1024)


AT_FIX = AT_WORK.model_copy(update={"session": SESSION.session})


def test_a_session_at_work_is_told_with_its_newest_checkpoints_and_its_children(
    capsys: pytest.CaptureFixture[str],
) -> None:
    points = tuple(f"c{number} Step {number}" for number in range(1, 13))
    child = f"{SESSION.session}/look-1"
    session = SESSION.model_copy(update={"checkpoints": points, "children": (child,)})
    view = AT_FIX.model_copy(update={"running": session})
    running(view, None)
    shown = capsys.readouterr().out.splitlines()
    at = shown.index(
        f"checkpoints, and 2 earlier (worktrain rewind {NAME} CHECKPOINT --reason WHY):"
    )
    assert shown[at - 2 : at] == ["sessions at work for it:", f"  {child}"]
    assert shown[at + 1 : at + 11] == [f"  {point}" for point in points[2:]]
    assert not shown[at + 11].startswith(" ")
    told = facts(NAME, view)["running"]
    assert (told["checkpoints"], told["children"]) == (list(points), [child])


def test_up_to_ten_checkpoints_are_all_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    session = SESSION.model_copy(update={"checkpoints": ("c1 Look\nhere",)})
    running(AT_FIX.model_copy(update={"running": session}), None)
    shown = capsys.readouterr().out
    assert "\ncheckpoints (worktrain rewind" in shown
    assert "\n  c1 Look here\n" in shown
    assert "at work for it" not in shown


def test_a_session_that_cannot_be_put_back_is_told_without_checkpoints(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fresh = AT_FIX.model_copy(update={"running": SESSION})
    waiting_child = SESSION.model_copy(
        update={"session": f"{SESSION.session}/look-1", "checkpoints": ("c1 Look",)}
    )
    for view in (fresh, AT_FIX.model_copy(update={"running": waiting_child})):
        running(view, None)
        assert "checkpoints" not in capsys.readouterr().out


def test_without_a_terminal_each_change_is_one_line() -> None:
    lines = Lines()
    working = AT_WORK.model_copy(
        update={
            "running": SESSION.model_copy(update={"turn": 2, "doing": "Bash ls", "step": "Fix"})
        }
    )
    assert lines.changes(None) == ["waiting for a worker to answer"]
    assert lines.changes(None) == []
    assert lines.changes(working) == [
        "coding completed: 7 turns, USD 0.25",
        "fix · Fix · turn 2 · Bash ls",
    ]
    assert lines.changes(working) == []
    warned = working.model_copy(update={"told": (WARNING,)})
    assert lines.changes(warned) == ["told in coding: 80 % of the money is spent"]
    assert lines.changes(warned) == []


def test_what_was_told_and_who_works_side_by_side_is_shown_while_it_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    both = (f"{NAME}/coding-s1-1", f"{NAME}/coding-s2-1")
    view = AT_WORK.model_copy(update={"told": (WARNING,), "sessions": both, "route": ROUTE})
    running(view, None)
    shown = capsys.readouterr().out
    assert "\ntold in coding: 80 % of the money is spent\n" in shown
    assert f"side by side:\n  {both[0]}\n  {both[1]}\n" in shown
    told = facts(NAME, view)
    assert (told["sessions"], told["route"]["pipeline"]) == (list(both), "quick")
    running(AT_WORK.model_copy(update={"sessions": both[:1]}), None)
    assert "side by side" not in capsys.readouterr().out


def test_what_agents_say_cannot_steer_the_terminal() -> None:
    assert screen.clean("a\x1b[31mred\u202e\x07\ttab\nline") == (
        "a\\u001b[31mred\\u202e\\u0007 tab\nline"
    )
    assert screen.line("two\nlines " + "x" * 300).startswith("two lines x")
    assert len(screen.line("x" * 300)) == 200


# --- status, show and logs without a server ----------------------------------------------------


@pytest.fixture
def kept(run: Run) -> None:
    """A store with one pipeline that was merged and one that nobody can ask."""

    async def fill() -> None:
        settings = load(os.environ)
        settings.open_home()
        store = await SqlStore.open(settings.store_url)
        task = Task(source="typed", title="Fix the \x1b[31mlogin")
        common: dict[str, Any] = {"workspace": "shop-1a2b", "repo": "/srv/shop", "task": task}
        for name, at_s in ((NAME, 100.0), ("task/shop-1a2b/other-5e6f", 200.0)):
            request = PipelineRequest(pipeline=name, kind=PipelineKind.FEATURE, **common)
            await store.open_pipeline(request, at_s)
        finding = Finding(severity=Severity.NIT, summary="A word is misspelt.", file="a.txt")
        verdict = ReviewVerdict(
            verdict="minor", confidence=Confidence.HIGH, findings=(finding,), summary="Nearly."
        )
        closed = SessionClosed(
            session=RECORD.session,
            pipeline=NAME,
            record=RECORD,
            artifacts=(verdict,),
            notes=("Looked at it.",),
            why="every step is done",
        )
        await store.close_session(closed, 150.0)
        await store.close_pipeline(MERGED, 160.0)
        await store.close()

    asyncio.run(fill())


def test_a_fresh_home_has_no_pipelines(run: Run) -> None:
    assert json.loads(run("status", "--json").stdout) == []
    assert "worktrain run TASK" in run("status").stdout


def test_pipelines_are_listed_newest_first_without_a_server(run: Run, kept: None) -> None:
    listed = json.loads(run("status", "--json").stdout)
    assert [(row["id"], row["state"]) for row in listed] == [
        ("task/shop-1a2b/other-5e6f", "no answer"),
        (NAME, "merged"),
    ]
    assert listed[1]["cost_usd"] == 0.25
    table = run("status").stdout
    assert NAME in table
    assert "\x1b" not in table


def test_a_part_of_an_id_is_enough_where_it_is_clear(run: Run, kept: None) -> None:
    stood = run("status", "login", "--json")
    assert stood.exit_code == 0
    assert json.loads(stood.stdout)["merged_commit"] == "c" * 40
    unclear = run("status", "shop", "--json")
    assert unclear.exit_code == 2
    assert json.loads(unclear.stdout)["kind"] == "not_found"
    assert NAME in json.loads(unclear.stdout)["error"]


def test_an_id_that_nobody_knows_is_a_usage_error(run: Run, kept: None) -> None:
    for part in ("nothing-like-it", "task/shop-1a2b/nothing-like-it"):
        failed = run("show", part, "--json")
        assert failed.exit_code == 2
        assert json.loads(failed.stdout)["kind"] == "not_found"


def test_a_pipeline_that_nobody_can_ask_is_told_with_what_to_do(run: Run, kept: None) -> None:
    stood = run("status", "other")
    assert "worktrain up" in stood.stdout


def test_show_prints_sessions_notes_and_findings(run: Run, kept: None) -> None:
    shown = run("show", "login").stdout
    for words in (RECORD.session, "Looked at it.", "nit: A word is misspelt. [a.txt]", "c" * 40):
        assert words in shown
    everything = json.loads(run("show", "login", "--json").stdout)
    assert everything["sessions"][0]["artifacts"][0]["verdict"] == "minor"
    assert everything["repo"] == "/srv/shop"
    assert everything["ending"] == "merged"


def test_show_names_sessions_so_that_one_can_go_on_from_them(run: Run, kept: None) -> None:
    shown = run("show", "login").stdout
    assert f"== {RECORD.session}: completed" in shown
    assert f"  worktrain fork {RECORD.session} STEP --reason WHY\n" in shown
    assert f"  worktrain continue {RECORD.session} TEXT\n" in shown
    everything = json.loads(run("show", "login", "--json").stdout)
    assert everything["phases"][0]["session"] == everything["sessions"][0]["session"]
    assert everything["sessions"][0]["session"] == RECORD.session
    assert "worktrain fork" not in run("show", "other").stdout


def test_nobody_is_asked_to_go_on_from_the_look_back(capsys: pytest.CaptureFixture[str]) -> None:
    back = RECORD.model_copy(update={"phase": "retrospective", "session": f"{NAME}/back-1"})
    go_on_from((RECORD, back))
    assert f"  worktrain continue {RECORD.session} TEXT\n" in capsys.readouterr().out
    go_on_from((back,))
    assert capsys.readouterr().out == ""


def test_logs_are_lines_or_one_array_and_end_with_the_pipeline(run: Run, kept: None) -> None:
    entries = json.loads(run("logs", "login", "--follow", "--json").stdout)
    assert [entry["kind"] for entry in entries] == ["ended"]
    assert "coding-1" in run("logs", "login").stdout
    assert json.loads(run("logs", "other", "--json").stdout) == []


# --- kill, and what is said to pipelines -------------------------------------------------------


@pytest.mark.parametrize("words", [(), ("login", "--all")])
def test_kill_wants_one_pipeline_or_all(run: Run, words: tuple[str, ...]) -> None:
    failed = run("kill", *words)
    assert failed.exit_code == 2
    assert "Name one pipeline, or say --all." in failed.stderr


def test_down_without_anything_up_ends_nothing(run: Run) -> None:
    done = run("down", "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"ended": []})
