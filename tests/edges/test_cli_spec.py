"""`worktrain spec`: the bundled specs, and problems of others as a compiler tells them."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from worktrain.adapters.catalogue import Catalogue
from worktrain.cli.main import cli

GOOD = """\
id: my-review
name: My review
description: Looks at a change.
version: 1.0.0
steps:
  - id: look-at-it
    title: Look
    prompt: Look at the change.
"""


def spec(*words: object) -> Result:
    return CliRunner().invoke(cli, ["spec", *(str(word) for word in words)])


def test_the_bundled_specs_are_listed() -> None:
    listed = json.loads(spec("list", "--json").stdout)
    assert [each["id"] for each in listed] == list(Catalogue().names())
    assert set(listed[0]) == {"id", "name", "version", "description", "steps"}
    assert all(each["id"] in spec("list").stdout for each in listed)


def test_a_spec_is_shown_as_it_was_written() -> None:
    assert spec("show", "review").stdout.rstrip("\n") == Catalogue().text("review").rstrip("\n")
    assert json.loads(spec("show", "review", "--json").stdout)["id"] == "review"


def test_a_spec_that_is_not_there_is_met_with_the_nearest_one() -> None:
    failed = spec("show", "reviw", "--json")
    assert failed.exit_code == 2
    assert json.loads(failed.stdout) == {
        "error": "there is no spec 'reviw'; did you mean 'review'?",
        "kind": "not_found",
    }


def test_the_bundled_specs_are_in_order() -> None:
    checked = spec("check", "--json")
    assert checked.exit_code == 0
    told = json.loads(checked.stdout)
    assert told["ok"] is True
    assert len(told["files"]) == len(Catalogue().names())


def test_a_good_file_passes(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD)
    checked = spec("check", tmp_path / "mine.yaml")
    assert (checked.exit_code, checked.stdout) == (0, "1 spec is in order\n")


def test_every_problem_of_every_file_is_told_with_its_place(tmp_path: Path) -> None:
    unreadable, broken = tmp_path / "a.yaml", tmp_path / "b.yaml"
    unreadable.write_text(GOOD.replace("title: Look", "titel: Look"))
    broken.write_text("id: [\n")
    checked = spec("check", unreadable, broken)
    assert checked.exit_code == 1
    assert f'{unreadable}:7:5: unknown key "titel"; did you mean "title"?' in checked.stdout
    assert f"{broken}:2:1: " in checked.stdout


def test_a_contract_that_is_not_there_is_told_at_its_step(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"{GOOD}    outputContract: {{contractRef: wr.contracts.review_verdct}}\n")
    checked = spec("check", path, "--json")
    assert checked.exit_code == 1
    (problem,) = json.loads(checked.stdout)["problems"]
    assert (problem["line"], problem["column"]) == (6, 9)
    assert "did you mean 'wr.contracts.review_verdict'?" in problem["message"]


def test_a_step_id_that_is_used_twice_is_told_at_the_second(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f'{GOOD}  - {{"id": "look-at-it", title: Again, prompt: Look again.}}\n')
    checked = spec("check", path)
    assert checked.exit_code == 1
    assert f"{path}:9:13: step id 'look-at-it' is used 2 times" in checked.stdout


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    failed = spec("check", tmp_path / "none.yaml")
    assert failed.exit_code == 2
    assert "does not exist" in failed.stderr


def test_a_file_that_is_not_text_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    failed = spec("check", tmp_path / "x.yaml")
    assert failed.exit_code == 2
    assert "is not UTF-8 text" in failed.stderr
