"""`worktrain init`: a configuration that is valid, fits the project, and overwrites nothing."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from worktrain.cli.main import cli
from worktrain.contracts.workspace import CONFIG_PATH, VerifyCommand, WorkspaceConfig
from worktrain.engine.parse import read


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    place = tmp_path / "shop"
    subprocess.run(["git", "init", "-q", str(place)], check=True)
    return place


def init(place: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["init", "--repo", str(place), *words])


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"pyproject.toml": "[tool.pytest.ini_options]\n"}, "python -m pytest -q"),
        ({"pytest.ini": "[pytest]\n"}, "python -m pytest -q"),
        ({"pyproject.toml": "[project]\n", "tests/test_a.py": ""}, "python -m pytest -q"),
        ({"package.json": '{"scripts": {"test": "vitest"}}'}, "npm test"),
        ({"Makefile": "all:\n\ntest: all\n\t./check\n"}, "make test"),
        ({"go.mod": "module shop\n"}, "go test ./..."),
        ({"Cargo.toml": "[package]\n"}, "cargo test"),
    ],
)
def test_the_check_is_guessed_from_what_is_there(
    repo: Path, files: dict[str, str], command: str
) -> None:
    for name, content in files.items():
        (repo / name).parent.mkdir(exist_ok=True)
        (repo / name).write_text(content)
    done = init(repo, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {"path": str(repo / CONFIG_PATH), "verify": command}
    config = read((repo / CONFIG_PATH).read_text(), WorkspaceConfig, CONFIG_PATH)
    assert config == WorkspaceConfig(verify=(VerifyCommand(name="tests", run=command),))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("README.md", "make test"),
        ("package.json", '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'),
        ("package.json", "{"),
        ("package.json", "[]"),
        ("Makefile", "test := 1\ntests:\n"),
        ("pyproject.toml", "[project]\n"),
    ],
)
def test_no_check_is_made_up(repo: Path, name: str, content: str) -> None:
    (repo / name).write_text(content)
    assert json.loads(init(repo, "--json").stdout)["verify"] is None
    config = read((repo / CONFIG_PATH).read_text(), WorkspaceConfig, CONFIG_PATH)
    assert config == WorkspaceConfig()


def test_what_is_commented_out_is_valid_as_well(repo: Path) -> None:
    init(repo)
    lines = (repo / CONFIG_PATH).read_text().splitlines()
    keys = ("base:", "verify:", "models:", "limits:", "soul:", "sandbox:", "  ", "- ")
    text = "\n".join(
        line.removeprefix("# ") if line.removeprefix("# ").startswith(keys) else line
        for line in lines
    )
    config = read(text, WorkspaceConfig, CONFIG_PATH)
    assert config.model_copy(update={"soul": "", "verify": (), "base": None}) == WorkspaceConfig()
    assert (config.base, config.soul) == ("main", "Prefer small changes.\n")
    assert config.verify == (VerifyCommand(name="tests", run="make test"),)


def test_it_is_written_to_the_root_and_says_to_commit_it(repo: Path) -> None:
    (repo / "below").mkdir()
    done = init(repo / "below")
    assert done.exit_code == 0
    assert (repo / CONFIG_PATH).is_file()
    assert "commit it" in done.stdout


def test_one_that_is_there_is_not_overwritten(repo: Path) -> None:
    (repo / ".worktrain").mkdir()
    (repo / CONFIG_PATH).write_text("mine")
    failed = init(repo)
    assert failed.exit_code == 2
    assert "it is there already" in failed.stderr
    assert (repo / CONFIG_PATH).read_text() == "mine"


def test_a_symbolic_link_out_of_the_repository_is_not_followed(repo: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (repo / ".worktrain").symlink_to(tmp_path / "elsewhere")
    failed = init(repo)
    assert failed.exit_code == 2
    assert "symbolic link" in failed.stderr
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_bare_repository_gets_none(tmp_path: Path, repo: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "bare.git")], check=True)
    failed = init(tmp_path / "bare.git")
    assert failed.exit_code == 2
    assert "bare repository" in failed.stderr


def test_outside_of_a_repository_nothing_is_written(tmp_path: Path, repo: Path) -> None:
    (tmp_path / "plain").mkdir()
    failed = init(tmp_path / "plain")
    assert failed.exit_code == 2
    assert "not a git repository" in failed.stderr
    assert list((tmp_path / "plain").iterdir()) == []
