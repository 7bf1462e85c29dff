"""The doctor names what is wrong, and with it what to do."""

import asyncio
import os
import socket
import subprocess
from collections.abc import Coroutine
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from worktrain import doctor
from worktrain.contracts.workspace import CONFIG_PATH
from worktrain.doctor import Check, examine
from worktrain.embedded import start_server, stop_server
from worktrain.settings import Settings, load

KEY = "sk-ant-api03-key-of-a-test"
NO_FILE = {"TEMPORAL_CONFIG_FILE": os.devnull}


def git(repo: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(repo), *words], check=True, capture_output=True)


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, and nobody's git configuration but its own."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for name in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    repo = tmp_path / "repo"
    subprocess.run(["git", "init", "-q", "-b", "main", str(repo)], check=True)
    git(repo, "config", "user.name", "Ada")
    git(repo, "config", "user.email", "ada@example.org")
    git(repo, "commit", "-q", "--allow-empty", "-m", "First")
    return repo


def look(home: Path, repo: Path | None = None, **env: str) -> dict[str, Check]:
    checks = asyncio.run(examine(at(home, **env), repo))
    assert all(check.ok or (check.said and check.fix) for check in checks)
    return {check.name: check for check in checks}


def at(home: Path, **env: str) -> Settings:
    return load({"WORKTRAIN_HOME": str(home), **NO_FILE, **env})


def one(answer: Coroutine[None, None, str]) -> Check:
    """A single check: the whole examination proves sandboxes, which takes a second."""
    return asyncio.run(doctor._check("one", answer, "fix"))


def model(home: Path, **env: str) -> Check:
    return one(doctor._model(at(home, **env), probe=True))


def test_a_machine_that_is_ready_passes_every_check(tmp_path: Path, repo: Path) -> None:
    checks = look(tmp_path / "home", repo, ANTHROPIC_API_KEY=KEY)
    assert {name: check.said for name, check in checks.items() if not check.ok} == {}
    assert list(checks) == [
        "python", "git", "temporal", "sandbox", "store", "model", "disk", "repository", "config",
    ]  # fmt: skip
    assert "commits as Ada <ada@example.org>" in checks["git"].said
    assert "not running" in checks["temporal"].said
    assert "not tried" in checks["model"].said
    assert not any(KEY in check.said for check in checks.values())


def test_a_running_server_is_asked(tmp_path: Path) -> None:
    settings = load({"WORKTRAIN_HOME": str(tmp_path)})
    endpoints = start_server(settings)
    try:
        assert f"answers on {endpoints.address}" in one(doctor._temporal(at(tmp_path))).said
        own = {"TEMPORAL_ADDRESS": endpoints.address, "TEMPORAL_NAMESPACE": "worktrain"}
        check = one(doctor._temporal(at(tmp_path, **own)))
        assert check.ok
        assert "namespace worktrain" in check.said
    finally:
        stop_server(settings)


def test_a_configured_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        check = one(doctor._temporal(at(tmp_path, TEMPORAL_ADDRESS=address)))
    assert not check.ok
    assert address in check.said
    assert "TEMPORAL_ADDRESS" in check.fix


def test_git_without_an_identity_is_told_how_to_get_one(tmp_path: Path, repo: Path) -> None:
    git(repo, "config", "--unset", "user.email")
    check = one(doctor._git(repo))
    assert not check.ok
    assert "git config --global user.email" in check.fix


def test_a_missing_git_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Install git" in one(doctor._git(None)).fix


def test_a_store_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_bytes(b"this is no database" * 500)
    check = one(doctor._store(at(tmp_path, WORKTRAIN_STORE_URL=f"sqlite:///{tmp_path}/broken.db")))
    assert not check.ok


def test_a_missing_key_is_told_where_it_may_stand(tmp_path: Path) -> None:
    check = model(tmp_path)
    assert not check.ok
    assert "ANTHROPIC_API_KEY" in check.fix


def test_a_key_whose_command_fails_is_told(tmp_path: Path) -> None:
    (tmp_path / "settings.yml").write_text("model_key: 'cmd:exit 7'\n")
    check = model(tmp_path)
    assert not check.ok
    assert "status 7" in check.said


@pytest.mark.parametrize(
    ("status", "ok", "said"),
    [
        (200, True, "accepts the key from ANTHROPIC_API_KEY, offers claude-test"),
        (401, False, "refuses the key"),
        (403, False, "refuses the key"),
        (404, False, "answered 404"),
        (500, False, "answered 500"),
    ],
)
def test_a_key_is_tried_when_asked(
    tmp_path: Path, httpserver: HTTPServer, status: int, ok: bool, said: str
) -> None:
    offered = {
        "id": "claude-test",
        "type": "model",
        "display_name": "T",
        "created_at": "2026-01-01T00:00:00Z",
    }
    page = {"data": [offered], "has_more": False, "first_id": None, "last_id": None}
    error = {"type": "error", "error": {"type": "x", "message": "no"}}
    httpserver.expect_request("/v1/models").respond_with_json(page if ok else error, status=status)
    check = model(tmp_path, ANTHROPIC_API_KEY=KEY, WORKTRAIN_MODEL_BASE_URL=httpserver.url_for(""))
    assert (check.ok, said in check.said) == (ok, True)
    assert KEY not in check.said
    ((request, _),) = httpserver.log
    assert any(KEY in value for value in request.headers.values())


def test_a_model_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        check = model(tmp_path, WORKTRAIN_MODEL_KEY=KEY, WORKTRAIN_MODEL_BASE_URL=url)
    assert not check.ok
    assert "cannot be reached" in check.said


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "DISK_BYTES_MIN", 1 << 60)
    check = one(doctor._disk(at(tmp_path / "not" / "yet")))
    assert not check.ok
    assert "WORKTRAIN_HOME" in check.fix


def test_what_is_no_repository_or_has_no_commit_is_told(tmp_path: Path, repo: Path) -> None:
    (tmp_path / "plain").mkdir()
    assert "not a git repository" in one(doctor._repository(tmp_path / "plain")).said
    subprocess.run(["git", "init", "-q", str(tmp_path / "empty")], check=True)
    assert "has no commit" in one(doctor._repository(tmp_path / "empty")).said


def test_a_merge_under_way_is_told_and_uncommitted_work_is_counted(
    tmp_path: Path, repo: Path
) -> None:
    (repo / "new").touch()
    assert "on main; 1 uncommitted" in one(doctor._repository(repo)).said
    (repo / ".git" / "MERGE_HEAD").touch()
    assert "under way" in one(doctor._repository(repo)).said


def test_a_configuration_counts_only_as_committed(tmp_path: Path, repo: Path) -> None:
    assert "defaults hold" in one(doctor._config(repo)).said

    config = repo / CONFIG_PATH
    config.parent.mkdir()
    config.write_text("verify: [{name: unit, run: pytest}]\n")
    check = one(doctor._config(repo))
    assert not check.ok
    assert "is not used" in check.said

    git(repo, "add", ".")
    git(repo, "commit", "-qm", "Configure")
    assert "verifies unit" in one(doctor._config(repo)).said

    config.write_text("verfy: []\n")
    git(repo, "commit", "-qam", "Misspell")
    check = one(doctor._config(repo))
    assert not check.ok
    assert f'HEAD:{CONFIG_PATH}:1:1: unknown key "verfy"; did you mean "verify"?' in check.said
