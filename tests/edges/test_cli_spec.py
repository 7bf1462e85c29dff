"""`worktrain spec`: specs of all sources are listed, checked as by a compiler, drawn and run."""

import json
import os
import re
import resource
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from worktrain.adapters.catalogue import Catalogue
from worktrain.cli.main import cli
from worktrain.cli.specs.group import COMMANDS
from worktrain.cli.specs.running import task_for, variables_of
from worktrain.client import pipeline_id
from worktrain.contracts.plan import Plan
from worktrain.demo.play import model_server, set_up, with_our_python

LIST_CPU_S_MAX = 1.5
"""Twice what it takes on a quiet machine."""

GOOD = """\
id: my-review
name: My review
description: Looks at a change.
version: 1.0.0
tags: [mine]
needs: {depth: string}
steps:
  - id: look-at-it
    title: Look
    prompt: Look at the change, {{depth}}.
"""
CALLING = """\
id: my-caller
name: My caller
description: Has a routine look.
version: 1.0.0
steps:
  - id: look
    title: Look
    templateCall: {templateId: wr.templates.routine.glance, args: {what: the change}}
"""
ROUTINE = """\
id: routine-glance
name: Glance
description: Looks at one thing.
version: 1.0.0
steps:
  - id: glance-at
    title: Glance
    prompt: Glance at {what}.
"""
LOST = """\
id: my-lost
name: My lost
description: Has a step that nothing leads to.
version: 1.0.0
steps:
  - id: pick
    title: Pick
    prompt: Pick a colour.
    gives: {colour: {enum: [red, green]}}
  - id: paint
    title: Paint
    runCondition: {var: colour, equals: blue}
    prompt: Paint it.
"""

Spec = Callable[..., Result]


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spec:
    """Calls `worktrain spec` with a home, an environment and a directory of its own."""
    for name in [n for n in os.environ if n.startswith(("ANTHROPIC_", "TEMPORAL_", "WORKTRAIN_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WORKTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return lambda *words: CliRunner().invoke(cli, ["spec", *(str(word) for word in words)])


@pytest.fixture
def repo(tmp_path: Path, spec: Spec) -> Path:
    """A repository with one commit and no spec."""
    place = tmp_path / "shop"
    place.mkdir()
    git(place, "init", "-q", "-b", "main")
    write(place / "a.txt", "one\n")
    commit(place)
    return place


def git(place: Path, *words: str) -> None:
    who = ("-c", "user.name=Olive", "-c", "user.email=olive@example.invalid")
    subprocess.run(["git", "-C", str(place), *who, *words], capture_output=True, check=True)


def commit(place: Path) -> None:
    git(place, "add", "-A")
    git(place, "commit", "-q", "-m", "Something")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def problems(checked: Result) -> list[dict[str, Any]]:
    return list(json.loads(checked.stdout)["problems"])


# --- the group ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_with_json(spec: Spec, name: str) -> None:
    shown = spec(name, "--help")
    assert shown.exit_code == 0
    assert "--json" in shown.stdout
    assert f"{name}  " in spec("--help").stdout


def test_a_command_that_is_not_there_is_met_with_the_nearest_one(spec: Spec) -> None:
    failed = spec("lst")
    assert failed.exit_code == 2
    assert "There is no command 'spec lst'; did you mean 'list'?" in failed.stderr


@pytest.mark.parametrize("command", ["show", "preview", "simulate"])
def test_a_spec_that_is_not_there_is_met_with_the_nearest_one(spec: Spec, command: str) -> None:
    failed = spec(command, "reviw", "--json")
    assert failed.exit_code == 2
    assert json.loads(failed.stdout) == {
        "error": "there is no spec 'reviw'; did you mean 'review'?",
        "kind": "not_found",
    }


# --- list and show ------------------------------------------------------------------------


def test_the_bundled_specs_are_listed_and_routines_where_they_are_asked_for(spec: Spec) -> None:
    specs = json.loads(spec("list", "--json").stdout)
    everything = json.loads(spec("list", "--routines", "--json").stdout)
    assert [one["id"] for one in everything] == list(Catalogue().names())
    assert [one for one in everything if not one["routine"]] == specs
    assert {one["source"] for one in everything} == {"bundled"}
    catalogue = Catalogue()
    for one in everything:
        assert one["steps"] == len(catalogue.spec(one["id"]).steps)
    assert all(one["id"] in spec("list").stdout for one in specs)


def test_the_list_is_quick_and_needs_no_temporal() -> None:
    call = [sys.executable, "-c"]
    look = (
        "import sys\nfrom worktrain.cli.main import cli\n"
        "try: cli.main(['spec', 'list'])\n"
        "except SystemExit: print('temporalio' in sys.modules, 'anthropic' in sys.modules)"
    )
    subprocess.run([*call, look], capture_output=True, check=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run([*call, look], capture_output=True, text=True, check=True)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < LIST_CPU_S_MAX
    assert done.stdout.endswith("False False\n")


def test_specs_of_every_source_are_listed_and_what_cannot_be_read_below(
    spec: Spec, repo: Path, tmp_path: Path
) -> None:
    write(repo / ".worktrain/specs/mine.yaml", GOOD)
    write(repo / ".workrail/workflows/old.json", json.dumps({"id": "old-one", "name": "Old"}))
    write(repo / "workflows/broken.yml", "id: [\n")
    write(repo / "workflows/review.yaml", GOOD.replace("my-review", "review"))
    write(tmp_path / "home/specs/own.yaml", GOOD.replace("my-review", "own-review"))
    listed = {one["id"]: one for one in json.loads(spec("list", "--repo", repo, "--json").stdout)}
    assert listed["my-review"] == {
        "id": "my-review",
        "name": "My review",
        "description": "Looks at a change.",
        "version": "1.0.0",
        "tags": ["mine"],
        "source": "repository",
        "path": str(repo / ".worktrain/specs/mine.yaml"),
        "routine": False,
        "problems": [],
        "steps": 1,
    }
    assert listed["own-review"]["source"] == "user"
    assert listed["review"]["source"] == "repository"
    assert listed["coding-task"]["source"] == "bundled"
    assert listed["old-one"]["steps"] is None
    assert {one["rule"] for one in listed["old-one"]["problems"]} == {"missing-key"}
    shown = spec("list", "--repo", repo / "workflows")
    assert shown.exit_code == 0
    below = shown.stdout.partition("\n\n")[2]
    assert f"{repo}/workflows/broken.yml:2:1: error [unreadable] while parsing" in below
    assert f'{repo}/.workrail/workflows/old.json:1:1: error [missing-key] key "steps"' in below


def test_without_a_repository_named_it_is_the_one_that_one_stands_in(
    spec: Spec, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(repo / ".worktrain/specs/mine.yaml", GOOD)
    (repo / "below").mkdir()
    monkeypatch.chdir(repo / "below")
    listed = {one["id"]: one for one in json.loads(spec("list", "--json").stdout)}
    assert listed["my-review"]["path"] == "../.worktrain/specs/mine.yaml"


def test_a_bare_repository_shows_what_stands_on_its_base(
    spec: Spec, repo: Path, tmp_path: Path
) -> None:
    write(repo / ".worktrain/specs/mine.yaml", GOOD)
    commit(repo)
    git(tmp_path, "clone", "-q", "--bare", str(repo), "bare.git")
    listed = json.loads(spec("list", "--repo", tmp_path / "bare.git", "--json").stdout)
    assert "my-review" in [one["id"] for one in listed]


def test_a_place_in_no_repository_is_told(spec: Spec, tmp_path: Path) -> None:
    failed = spec("list", "--repo", tmp_path / "here")
    assert failed.exit_code == 2
    assert "give a path inside a git repository" in failed.stderr


def test_tags_narrow_the_list_and_one_that_is_none_is_met_with_the_nearest(
    spec: Spec, repo: Path
) -> None:
    write(repo / ".worktrain/specs/one.yaml", GOOD.replace("[mine]", "[mine, shopping]"))
    write(repo / ".worktrain/specs/two.yaml", GOOD.replace("my-review", "my-other"))
    words = ("list", "--repo", repo, "--tag", "mine")
    assert [one["id"] for one in json.loads(spec(*words, "--json").stdout)] == [
        "my-other",
        "my-review",
    ]
    both = spec(*words, "--tag", "shopping", "--json")
    assert [one["id"] for one in json.loads(both.stdout)] == ["my-review"]
    none = spec(*words, "--tag", "shoping")
    assert none.exit_code == 0
    assert none.stdout == "no spec has the tag 'shoping'; did you mean 'shopping'?\n"


def test_bindings_that_lead_nowhere_are_told_below_the_list(spec: Spec, repo: Path) -> None:
    bindings = write(repo / ".worktrain/bindings.json", '{"reviewer": "nobody"}')
    assert f"{bindings}:1:1: warning [BINDING_DRIFT]" in spec("list", "--repo", repo).stdout
    bindings.write_text("[")
    assert f"{bindings}:1:2: error [unreadable]" in spec("list", "--repo", repo).stdout


def test_a_spec_is_shown_as_it_was_written_and_as_it_was_understood(spec: Spec, repo: Path) -> None:
    shown = spec("show", "review").stdout.rstrip("\n")
    assert shown == Catalogue().text("review").rstrip("\n")
    write(repo / ".worktrain/specs/mine.yaml", GOOD)
    assert spec("show", "my-review", "--repo", repo).stdout == GOOD
    understood = json.loads(spec("show", "my-review", "--repo", repo, "--json").stdout)
    assert (understood["id"], understood["modelTier"]) == ("my-review", "mid")
    assert understood["steps"][0]["type"] == "standard"


# --- check --------------------------------------------------------------------------------


def test_the_bundled_specs_have_no_error(spec: Spec) -> None:
    checked = spec("check", "--json")
    assert checked.exit_code == 0
    told = json.loads(checked.stdout)
    assert told["ok"] is True
    assert len(told["files"]) == len(Catalogue().names())
    assert {one["level"] for one in told["problems"]} <= {"warning"}


def test_a_good_file_passes(spec: Spec, tmp_path: Path) -> None:
    checked = spec("check", write(tmp_path / "mine.yaml", GOOD))
    assert (checked.exit_code, checked.stdout) == (0, "1 spec is in order\n")


def test_every_problem_of_every_file_is_told_with_its_place(spec: Spec, tmp_path: Path) -> None:
    unreadable = write(tmp_path / "a.yaml", GOOD.replace("title: Look", "titel: Look"))
    broken = write(tmp_path / "b.yml", "id: [\n")
    checked = spec("check", unreadable, broken)
    assert checked.exit_code == 1
    lines = checked.stdout.splitlines()
    wanted = f'{unreadable}:9:5: error [unknown-key] unknown key "titel"; did you mean "title"?'
    assert wanted in lines
    assert any(line.startswith(f"{broken}:2:1: error [unreadable] ") for line in lines)
    assert lines[-1] == f"2 specs checked: {len(lines) - 1} errors"
    assert [line.partition(":")[0] for line in lines[:-1]] == sorted(
        line.partition(":")[0] for line in lines[:-1]
    )


def test_what_a_schema_cannot_see_is_told_at_its_place(spec: Spec, tmp_path: Path) -> None:
    path = write(
        tmp_path / "mine.yaml",
        f"{GOOD}    outputContract: {{contractRef: wr.contracts.review_verdct}}\n"
        '  - {"id": "look-at-it", title: Again, prompt: Look again.}\n',
    )
    checked = spec("check", path, "--json")
    assert checked.exit_code == 1
    contract, double = problems(checked)
    assert list(contract) == ["file", "line", "column", "rule", "level", "message"]
    assert (contract["line"], contract["column"], contract["rule"]) == (11, 35, "unknown-contract")
    assert "did you mean 'wr.contracts.review_verdict'?" in contract["message"]
    assert (double["line"], double["column"]) == (12, 12)
    assert "step id 'look-at-it' is used 2 times" in double["message"]


def test_warnings_are_no_errors_unless_that_is_asked_for(spec: Spec, tmp_path: Path) -> None:
    path = write(tmp_path / "mine.yaml", f"{GOOD}    runCondition: {{var: deepth, gt: 3}}\n")
    warned = spec("check", path)
    assert warned.exit_code == 0
    line, summary = warned.stdout.splitlines()
    assert line.startswith(f"{path}:11:19: warning [unset-variable] ")
    assert line.endswith("; did you mean 'depth'?")
    assert summary == "1 spec is in order, with 1 warning"
    strict = spec("check", path, "--strict")
    assert strict.exit_code == 1
    assert f"{path}:11:19: error [unset-variable]" in strict.stdout
    assert strict.stdout.endswith("1 spec checked: 1 error\n")
    assert json.loads(spec("check", path, "--strict", "--json").stdout)["ok"] is False


def test_a_folder_is_checked_with_its_own_routines(spec: Spec, tmp_path: Path) -> None:
    caller = write(tmp_path / "specs/caller.yaml", CALLING)
    alone = spec("check", caller)
    assert alone.exit_code == 1
    assert "[unknown-routine]" in alone.stdout
    write(tmp_path / "specs/routines/glance.yaml", ROUTINE)
    assert spec("check", caller).stdout == "1 spec is in order\n"
    assert spec("check", tmp_path / "specs").stdout == "2 specs are in order\n"
    assert spec("check", tmp_path / "specs/routines").stdout == "1 spec is in order\n"


def test_a_problem_of_a_routine_is_told_once_and_in_its_file(spec: Spec, tmp_path: Path) -> None:
    wrong = f"{ROUTINE}    outputContract: {{contractRef: wr.contracts.review_verdct}}\n"
    routine = write(tmp_path / "specs/routines/glance.yaml", wrong)
    first = write(tmp_path / "specs/a.yaml", CALLING)
    second = write(tmp_path / "specs/b.yaml", CALLING.replace("my-caller", "my-other"))
    for paths in ([first], [first, second], [tmp_path / "specs"]):
        (problem,) = problems(spec("check", *paths, "--json"))
        assert (problem["file"], problem["line"]) == (str(routine), 9)
    routine.write_text("id: routine-glance\nname: [\n")
    (problem,) = problems(spec("check", first, second, "--json"))
    assert (problem["file"], problem["rule"]) == (str(routine), "unreadable")


def test_what_only_a_call_makes_wrong_is_told_at_the_call(spec: Spec, tmp_path: Path) -> None:
    path = write(tmp_path / "caller.yaml", CALLING.replace("what: the change", "thing: it"))
    write(tmp_path / "routines/glance.yaml", ROUTINE)
    (problem,) = problems(spec("check", tmp_path, "--json"))
    assert (problem["file"], problem["rule"]) == (str(path), "missing-argument")


def test_an_argument_is_no_problem_of_the_routine_that_takes_it(spec: Spec, tmp_path: Path) -> None:
    loop = (
        "  - id: glance-all\n    title: All\n    type: loop\n"
        '    loop: {type: forEach, items: "{what}", maxIterations: 3}\n'
        '    body: [{id: glance-one, title: One, prompt: "See {{currentItem}}."}]\n'
    )
    write(tmp_path / "routines/glance.yaml", ROUTINE + loop)
    checked = spec("check", tmp_path)
    assert (checked.exit_code, checked.stdout) == (0, "1 spec is in order\n")
    write(tmp_path / "routines/glance.yaml", (ROUTINE + loop).replace('"{what}"', "things"))
    assert "[unset-variable]" in spec("check", tmp_path).stdout


def test_two_files_with_one_id_are_told(spec: Spec, tmp_path: Path) -> None:
    write(tmp_path / "specs/a.yaml", GOOD)
    write(tmp_path / "specs/b.yaml", GOOD)
    checked = spec("check", tmp_path / "specs")
    assert checked.exit_code == 1
    assert f"the id 'my-review' is taken by {tmp_path / 'specs/a.yaml'}" in checked.stdout
    both = spec("check", tmp_path / "specs/a.yaml", tmp_path / "specs/b.yaml")
    assert both.stdout == "2 specs are in order\n"


def test_a_repository_is_checked_as_its_files_lie_there(spec: Spec, repo: Path) -> None:
    contract = write(
        repo / ".worktrain/contracts/notes.yaml",
        "kind: shop.notes\nschema: {type: object, properties: {text: {type: string}}}\n",
    )
    ours = f"{GOOD}    outputContract: {{contractRef: shop.notes}}\n"
    path = write(repo / ".worktrain/specs/mine.yaml", ours)
    write(repo / "package.json", '{"name": "shop"}')
    assert spec("check", path).stdout == "1 spec is in order\n"
    assert spec("check", repo).stdout == "1 spec is in order\n"
    everything = json.loads(spec("check", "--repo", repo, "--json").stdout)
    assert everything["ok"] is True
    assert str(path) in everything["files"]
    assert len(everything["files"]) == len(Catalogue().names()) + 1
    contract.write_text("kind: shop.notes\n")
    checked = spec("check", path)
    assert checked.exit_code == 1
    assert "there is no contract 'shop.notes'" in checked.stdout
    assert f"{contract}:1:1: error " in checked.stdout


def test_bindings_that_cannot_be_read_are_a_problem(spec: Spec, repo: Path) -> None:
    write(repo / ".worktrain/specs/mine.yaml", GOOD)
    bindings = write(repo / ".worktrain/bindings.json", "[")
    (problem,) = problems(spec("check", repo, "--json"))
    assert problem["file"] == str(bindings)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "has no spec in it"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "is not UTF-8 text"),
    ],
)
def test_a_path_with_nothing_to_check_is_a_usage_error(
    spec: Spec, tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    make(tmp_path / "x.yaml")
    failed = spec("check", tmp_path / "x.yaml")
    assert failed.exit_code == 2
    assert said in failed.stderr


# --- preview and simulate -----------------------------------------------------------------


def test_a_spec_is_drawn_by_its_id_and_by_its_file(spec: Spec, repo: Path) -> None:
    path = write(repo / ".worktrain/specs/caller.yaml", CALLING)
    write(repo / ".worktrain/specs/routines/glance.yaml", ROUTINE)
    by_file = spec("preview", path)
    assert by_file.exit_code == 0
    assert by_file.stdout.startswith("my-caller: 1 step")
    assert "1. look.glance-at: Glance" in by_file.stdout
    assert spec("preview", "my-caller", "--repo", repo).stdout == by_file.stdout
    facts = json.loads(spec("preview", path, "--json").stdout)
    assert f"{facts['outline']}\n" == by_file.stdout
    assert (facts["id"], facts["svg"]) == ("my-caller", None)
    assert facts["plan"]["steps"][0]["id"] == "look.glance-at"


def test_a_drawing_is_written_as_svg(spec: Spec, tmp_path: Path) -> None:
    target = tmp_path / "coding.svg"
    drawn = spec("preview", "coding-task", "--svg", target)
    assert drawn.stdout == f"coding-task is drawn in {target}\n"
    assert ET.parse(target).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert json.loads(spec("preview", "fix", "--svg", target, "--json").stdout)["svg"]
    failed = spec("preview", "coding-task", "--svg", tmp_path / "none" / "x.svg")
    assert failed.exit_code == 1
    assert "x.svg cannot be written: No such file or directory." in failed.stderr


def test_what_cannot_run_is_told_instead_of_drawn(spec: Spec, tmp_path: Path) -> None:
    path = write(tmp_path / "mine.yaml", CALLING)
    for command in ("preview", "simulate"):
        failed = spec(command, path)
        assert failed.exit_code == 1
        assert f"{path}:8:32: step 'look': there is no routine" in failed.stderr
    assert spec("preview", tmp_path / "none.yaml").exit_code == 2


def test_a_simulation_says_what_is_reached_and_how_long_it_gets(spec: Spec) -> None:
    walked = spec("simulate", "review")
    assert walked.exit_code == 0
    assert walked.stdout.startswith("review: all ")
    facts = json.loads(spec("simulate", "review", "--json").stdout)
    assert facts["unreachable"] == []
    assert facts["longest"]["turns"] >= facts["shortest"]["turns"] > 0
    assert f"  longest: {facts['longest']['turns']} steps of the agent: " in walked.stdout


def test_a_step_that_nothing_leads_to_fails_a_simulation(spec: Spec, tmp_path: Path) -> None:
    path = write(tmp_path / "lost.yaml", LOST)
    walked = spec("simulate", path)
    assert walked.exit_code == 1
    assert walked.stdout.startswith("my-lost: 1 of 2 steps can be reached, on 1 ways\n")
    assert "  unreachable: paint: " in walked.stdout
    assert json.loads(spec("simulate", path, "--json").stdout)["reached"] == ["pick"]


HOW_TO = Path(__file__).parents[2] / "docs/how-to/write-a-spec.md"


def test_the_spec_of_the_how_to_is_one_and_all_of_it_can_be_reached(
    spec: Spec, tmp_path: Path
) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", HOW_TO.read_text(), re.DOTALL | re.MULTILINE)
    first = write(tmp_path / "first.yaml", blocks[0])
    assert "[unused-variable] step 'list' gives 'candidates'" in spec("check", first).stdout
    path = write(tmp_path / "dependency-check.yaml", "".join(blocks))
    checked = spec("check", path, "--strict")
    assert (checked.exit_code, checked.stdout) == (0, "1 spec is in order\n")
    walked = json.loads(spec("simulate", path, "--json").stdout)
    assert walked["reached"] == ["list", "look", "look-at-one", "report"]


# --- run ----------------------------------------------------------------------------------


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch, spec: Spec) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "none-that-is-used")


@pytest.mark.usefixtures("key")
def test_nothing_starts_for_a_spec_that_is_not_there(
    spec: Spec, repo: Path, tmp_path: Path
) -> None:
    failed = spec("run", "reviw", "--goal", "Look", "--repo", repo, "--json")
    assert failed.exit_code == 2
    said = json.loads(failed.stdout)
    assert said == {
        "error": "there is no spec 'reviw'; did you mean 'review'?",
        "kind": "not_found",
    }
    assert not (tmp_path / "home/run").exists()


@pytest.mark.usefixtures("key")
def test_a_spec_that_is_not_on_the_base_has_to_be_committed_first(spec: Spec, repo: Path) -> None:
    path = write(repo / ".worktrain/specs/mine.yaml", GOOD.replace("prompt", "promt"))
    words = ("run", "my-review", "--goal", "Look", "--repo", repo)
    assert "has uncommitted changes" in spec(*words).stderr
    failed = spec(*words, "--allow-dirty")
    assert failed.exit_code == 2
    assert "has no spec 'my-review', only your checkout has: commit it" in failed.stderr
    commit(repo)
    failed = spec(*words)
    assert failed.exit_code == 1
    assert f'{path.relative_to(repo)}:10:5: unknown key "promt"' in failed.stderr


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--goal", " "), "There is no goal"),
        (("--goal", "Look", "--set", "depth"), "'depth' is not NAME=VALUE"),
        (("--goal", "Look", "--set", "a b=1"), "'a b=1' is not NAME=VALUE"),
        (("--goal", "Look", "--set", "a=1", "--set", "a=2"), "gives 'a' twice"),
        (("--goal", "Look", "--set", "eat_token=1"), "belongs to the system"),
        (("--goal", "Look", "--set", "files=one"), "is not what my-review needs"),
        ((), "Missing option '--goal'"),
    ],
)
def test_what_a_session_cannot_begin_with_is_a_usage_error(
    spec: Spec, repo: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    needs = "needs: {depth: string, files: array}"
    write(repo / ".worktrain/specs/mine.yaml", GOOD.replace("needs: {depth: string}", needs))
    commit(repo)
    failed = spec("run", "my-review", "--repo", repo, *words)
    assert failed.exit_code == 2
    assert said in failed.stderr
    assert not (tmp_path / "home/run").exists()


def test_values_are_json_where_they_can_be_and_texts_where_a_text_is_declared() -> None:
    plan = Plan.model_validate(
        {"spec": "x", "model_tier": "mid", "steps": [], "needs": {"ticket": {"type": "string"}}}
    )
    given = {"ticket": "42", "count": "42", "flags": '["a"]', "word": "deep", "odd": "NaN"}
    assert variables_of(given, plan) == {
        "ticket": "42",
        "count": 42,
        "flags": ["a"],
        "word": "deep",
        "odd": "NaN",
    }
    assert variables_of({"ticket": '"42"'}, plan) == {"ticket": "42"}


def test_the_same_goal_is_another_task_for_another_spec_or_with_other_variables() -> None:
    tasks = [
        task_for("review", "Look\n\nAt it.", {}),
        task_for("fix", "Look\n\nAt it.", {}),
        task_for("review", "Look\n\nAt it.", {"depth": 1}),
        task_for("review", "Look\n\nAt it.", {"depth": 2}),
    ]
    assert {(task.title, task.body) for task in tasks} == {("Look", "At it.")}
    assert len({pipeline_id("shop", task) for task in tasks}) == 4
    assert task_for("review", "Look", {"a": 1, "b": 2}) == task_for(
        "review", "Look", {"b": 2, "a": 1}
    )


RUNNING = """\
sessions:
  - name: look
    match: Look at the change, 42
    turns:
      - calls:
          - tool: complete_step
            input: {notes: I looked at the change as deeply as I was told to and it is good.}
"""


@pytest.mark.e2e
def test_a_session_follows_a_spec_with_its_variables_and_ends(tmp_path: Path) -> None:
    stage = set_up(tmp_path / "stage")
    write(stage.repo / ".worktrain/specs/mine.yaml", GOOD)
    commit(stage.repo)
    git(stage.repo, "push", "-q", "origin", "main")
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANTHROPIC_", "WORKTRAIN_", "TEMPORAL_"))
    }

    def worktrain(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "worktrain.cli.main", *words],
            cwd=stage.repo,
            env=env,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    scenario = write(tmp_path / "scenario.yaml", RUNNING)
    with model_server(scenario, stage.model_log) as url:
        env |= {
            "PATH": with_our_python(os.environ),
            "WORKTRAIN_HOME": str(tmp_path / "home"),
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": "test-key",
        }
        try:
            run = ("spec", "run", "my-review", "--goal", "Look\n\nAt it all.", "--json")
            first = worktrain(*run, "--set", "depth=42", "--set", "dept=1")
            other = worktrain(*run, "--set", "depth=42")
        finally:
            worktrain("down")
    assert first.stderr == "warning: my-review reads no variable 'dept'; did you mean 'depth'?\n"
    assert first.returncode == other.returncode == 0, first.stdout
    one, two = json.loads(first.stdout), json.loads(other.stdout)
    assert (one["ending"], one["phases"][0]["spec"]) == ("completed", "my-review")
    assert one["id"] != two["id"]
