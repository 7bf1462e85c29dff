"""`worktrain explain`: the way of a task, told without a model, a server or a worker."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from worktrain.cli.main import cli
from worktrain.contracts.route import PipelineKind, Route, TaskClass

Explain = Callable[..., Result]


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with 30 files and a configuration, and a home that nobody made."""
    for name in [n for n in os.environ if n.startswith(("ANTHROPIC_", "TEMPORAL_", "WORKTRAIN_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WORKTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    place = tmp_path / "shop"
    (place / ".worktrain").mkdir(parents=True)
    (place / ".worktrain" / "config.yml").write_text("labels: {Quick Win: quick}\n")
    for number in range(29):
        (place / f"part{number}.py").write_text("")
    git(place, "init", "-q", "-b", "main")
    commit(place)
    return place


@pytest.fixture
def explain(repo: Path) -> Explain:
    return lambda *words: CliRunner().invoke(
        cli, ["explain", "--repo", str(repo), *map(str, words)]
    )


def git(place: Path, *words: str) -> None:
    who = ("-c", "user.name=Olive", "-c", "user.email=olive@example.invalid")
    subprocess.run(["git", "-C", str(place), *who, *words], capture_output=True, check=True)


def commit(place: Path) -> None:
    git(place, "add", "-A")
    git(place, "commit", "-q", "-m", "Something")


def test_every_property_phase_and_demand_is_told_with_its_reason(explain: Explain) -> None:
    shown = explain("Add a button that resets a password", "--label", "enhancement")
    assert shown.exit_code == 0, shown.stderr
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    for line in (
        "Taken for, in a repository of 30 files:",
        "taskType feature label label 'enhancement'",
        "taskComplexity Large default nothing says anything, so the careful value stands",
        "riskLevel High word word 'password' in the title",
        "hasUI yes word word 'button' in the title",
        "Pipeline feature: classified as feature, Large, of High risk, and what is to be built is "
        "not specified",
        "runs discovery (discovery) what is to be built is open",
        "runs design (ui-ux-design) it touches what people see on a screen, and is Large",
        "audit security-audit it is about security",
        "Told to every session: rigorMode=THOROUGH, taskComplexity=Large, riskLevel=High",
    ):
        assert line in lines
    assert "No model was asked." in lines[-1]
    assert "may raise risk and complexity" in lines[-1]


def test_a_phase_that_is_left_out_says_so(explain: Explain) -> None:
    shown = explain("Fix the docs", "--label", "no-ui", "--pipeline", "implement")
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert "Pipeline implement: asked for" in lines
    assert "left out design (ui-ux-design) it does not touch what people see on a screen" in lines


def test_json_has_classification_and_route_as_the_contracts_have_them(explain: Explain) -> None:
    shown = explain("Fix the crash", "--json")
    told = json.loads(shown.stdout)
    assert sorted(told) == ["classification", "files", "notice", "route", "title"]
    found = TaskClass.model_validate(told["classification"])
    route = Route.model_validate(told["route"])
    assert (told["title"], told["files"], found.task_type) == ("Fix the crash", 30, "bug-fix")
    assert route.pipeline is PipelineKind.BUGFIX
    assert [stage.spec for stage in route.stages] == ["bug-investigation", "coding-task"]


def test_the_labels_of_the_issue_and_of_the_workspace_count(
    explain: Explain, tmp_path: Path
) -> None:
    issue = tmp_path / "login.md"
    issue.write_text("---\nlabels: [quick win, critical]\n---\n# Fix the login\n")
    told = json.loads(explain("--issue", issue, "--json").stdout)
    assert (told["route"]["pipeline"], told["route"]["why"]) == ("quick", "label 'quick-win'")
    assert told["classification"]["risk"] == "Critical"
    assert {"human", "second_review"} <= {one["gate"] for one in told["route"]["demands"]}


def test_a_review_merges_nothing_and_so_demands_nothing(explain: Explain) -> None:
    shown = explain("Look at it", "--pipeline", "review").stdout
    assert "one verdict on the branch; nothing is merged" in shown
    assert "Demanded" not in shown


def test_a_task_that_has_nothing_to_demand_says_so(explain: Explain) -> None:
    shown = explain("Correct a typo").stdout
    assert "Pipeline quick: classified as Small, of Low risk, with nothing to design" in shown
    assert "asks for:\n  nothing\n" in shown


def test_nothing_is_started_made_or_minded(explain: Explain, repo: Path, tmp_path: Path) -> None:
    (repo / "uncommitted.txt").write_text("x")
    assert explain("Fix it").exit_code == 0
    assert not (tmp_path / "home").exists()


def test_what_anybody_wrote_cannot_steer_the_terminal(explain: Explain) -> None:
    shown = explain("Fix \x1b[2J it", "--label", "bug\x1b[2J").stdout
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "There is no task"),
        (("Fix it", "--pipeline", "spec"), "'spec' is not one of"),
        (("Fix it", "--label", ""), "at most 30 labels"),
    ],
)
def test_what_cannot_be_explained_is_refused_in_one_sentence(
    explain: Explain, words: tuple[str, ...], said: str
) -> None:
    failed = explain(*words)
    assert failed.exit_code == 2
    assert said in failed.stderr
    assert failed.stdout == ""


def test_a_broken_configuration_is_told_with_line_and_column(explain: Explain, repo: Path) -> None:
    (repo / ".worktrain" / "config.yml").write_text("labels: {fast: slow}\n")
    commit(repo)
    failed = explain("Fix it", "--json")
    assert failed.exit_code == 2
    assert json.loads(failed.stdout)["error"].startswith("main:.worktrain/config.yml:1:")


def test_a_directory_that_is_no_repository_is_refused(repo: Path) -> None:
    failed = CliRunner().invoke(cli, ["explain", "Fix it", "--repo", str(repo.parent)])
    assert failed.exit_code == 2
    assert "not a git repository" in failed.stderr


def test_no_model_and_no_store_is_loaded_for_it(repo: Path) -> None:
    look = (
        "import sys, worktrain.cli.explain; "
        "print([m for m in ('anthropic', 'sqlalchemy', 'rich', 'uvicorn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
