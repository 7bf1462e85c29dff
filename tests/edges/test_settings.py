"""Settings come from the environment and one file, and keep their secrets."""

import os
import time
from pathlib import Path

import pytest

from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.settings import External, Settings, external, external_temporal, load

KEY = "sk-ant-api03-secret-of-a-test"


def at(home: Path, file: str = "", **env: str) -> Settings:
    if file:
        (home / "settings.yml").write_text(file)
    return load({"WORKTRAIN_HOME": str(home), **env})


def refusal(home: Path, file: str = "", **env: str) -> str:
    with pytest.raises(AdapterError) as caught:
        assert at(home, file, **env).model_key is None
    assert caught.value.kind is FailureKind.MISCONFIGURED
    return caught.value.said


@pytest.mark.parametrize(
    ("env", "home"),
    [
        ({"HOME": "/home/me"}, "/home/me/.local/state/worktrain"),
        ({"HOME": "/home/me", "XDG_STATE_HOME": "/state"}, "/state/worktrain"),
        ({"HOME": "/home/me", "XDG_STATE_HOME": "relative"}, "/home/me/.local/state/worktrain"),
        ({"HOME": "/home/me", "WORKTRAIN_HOME": "~/wt", "XDG_STATE_HOME": "/state"}, "/home/me/wt"),
        ({"HOME": "/home/me", "WORKTRAIN_HOME": "/wt/../wt2"}, "/wt2"),
        ({"HOME": "/home/me", "WORKTRAIN_HOME": ""}, "/home/me/.local/state/worktrain"),
    ],
)
def test_home_is_where_it_is_said_to_be(env: dict[str, str], home: str) -> None:
    assert load(env).home == Path(home)


def test_home_is_made_on_use_for_this_user_alone(tmp_path: Path) -> None:
    settings = at(tmp_path / "a" / "b")
    assert not settings.home.exists()
    settings.open_home()
    settings.open_home()
    assert settings.home.stat().st_mode & 0o777 == 0o700


def test_a_home_that_cannot_be_made_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AdapterError, match="Set WORKTRAIN_HOME"):
        at(tmp_path / "file").open_home()


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    file = "temporal_port: 7000\nui_port: 7001\ntask_queue: here\nworker: {activities_max: 3}\n"
    settings = at(tmp_path, file, WORKTRAIN_TEMPORAL_PORT="8000", WORKTRAIN_UI_PORT="")
    assert (settings.temporal_port, settings.ui_port) == (8000, 7001)
    assert settings.task_queue == "here"
    assert settings.worker.activities_max == 3
    assert settings.worker.workflow_tasks_max == 4


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("", "sqlite:///{home}/worktrain.db"),
        ("sqlite:////x.db", "sqlite:////x.db"),
        ("postgresql+psycopg://u:pw@h/db", "postgresql+psycopg://u:pw@h/db"),
    ],
)
def test_the_store_is_a_file_in_home_or_what_was_named(
    tmp_path: Path, given: str, meant: str
) -> None:
    settings = at(tmp_path, WORKTRAIN_STORE_URL=given)
    assert settings.store_url == meant.format(home=tmp_path)
    assert "pw@" not in repr(settings)


def test_an_unknown_key_of_the_file_is_named_with_its_line(tmp_path: Path) -> None:
    said = refusal(tmp_path, "# mine\ntemporl_port: 1\n")
    assert said.startswith(f"{tmp_path / 'settings.yml'}:2:1: ")
    assert 'did you mean "temporal_port"?' in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKTRAIN_TEMPORAL_PORT", "seventy"),
        ("WORKTRAIN_UI_PORT", "70000"),
        ("WORKTRAIN_MODEL_BASE_URL", "localhost:8000"),
        ("WORKTRAIN_STORE_URL", "worktrain.db"),
        ("WORKTRAIN_TASK_QUEUE", "a b"),
        ("WORKTRAIN_MODEL_KEY", "two words"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, name: str, value: str) -> None:
    assert name in refusal(tmp_path, **{name: value})


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "settings.yml").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in refusal(tmp_path)


def test_a_key_in_the_file_itself_is_refused_and_not_repeated(tmp_path: Path) -> None:
    said = refusal(tmp_path, f"model_key: {KEY}\n")
    assert "settings.yml:1:" in said
    assert "env:NAME, file:PATH or cmd:COMMAND" in said
    assert KEY not in said


def test_a_key_is_fetched_from_where_it_is_kept(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    for file, env in (
        ("model_key: env:MY_KEY", {"MY_KEY": KEY}),
        ("model_key: file:key", {}),
        (f"model_key: 'file:{tmp_path}/key'", {}),
        (f"model_key: 'cmd:echo {KEY}'", {}),
        ("model_key: env:NOT_SET", {"WORKTRAIN_MODEL_KEY": KEY}),
    ):
        settings = at(tmp_path, file, **env)
        assert settings.model_key is not None
        assert settings.model_key.get_secret_value() == KEY


def test_without_a_key_the_sdk_is_left_to_its_own(tmp_path: Path) -> None:
    settings = at(tmp_path, ANTHROPIC_API_KEY=KEY)
    assert settings.model_key is None
    assert settings.names_a_model
    assert not at(tmp_path).names_a_model
    assert not at(tmp_path, "model_key: env:NOT_SET").names_a_model


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env:NOT_SET", "env:NOT_SET, which is not set"),
        ("file:nowhere", "No such file"),
        ("cmd:echo not-the-key-itself >&2; exit 3", "ended with status 3"),
        ("cmd:true", "not a key"),
        ("cmd:echo two words", "not a key"),
    ],
)
def test_a_key_that_is_not_there_is_only_missed_when_asked_for(
    tmp_path: Path, reference: str, said: str
) -> None:
    settings = at(tmp_path, f"model_key: '{reference}'")
    with pytest.raises(AdapterError) as caught:
        _ = settings.model_key
    assert said in caught.value.said
    assert "not-the-key" not in caught.value.said


def test_a_command_that_waits_is_ended_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worktrain.settings.KEY_COMMAND_S_MAX", 0.3)
    settings = at(tmp_path, "model_key: 'cmd:sleep 60 & echo $! > sleeper; wait'")
    monkeypatch.chdir(tmp_path)
    began = time.monotonic()
    with pytest.raises(AdapterError, match="took longer"):
        _ = settings.model_key
    stat = Path("/proc") / (tmp_path / "sleeper").read_text().strip() / "stat"
    while stat.exists() and ") Z " not in stat.read_text():
        assert time.monotonic() - began < 5


def test_nothing_shows_a_key(tmp_path: Path) -> None:
    settings = at(tmp_path, f"model_key: 'cmd:echo {KEY}x'", ANTHROPIC_API_KEY=f"{KEY}y")
    assert settings.model_key is not None
    given = at(tmp_path / "other", WORKTRAIN_MODEL_KEY=KEY)
    for shown in (repr(settings), str(settings.model_key), repr(given), given.model_dump_json()):
        assert KEY not in shown


def test_what_no_log_may_show_is_the_keys_and_not_the_addresses(tmp_path: Path) -> None:
    settings = at(
        tmp_path,
        ANTHROPIC_API_KEY="key-of-the-sdk",
        ANTHROPIC_BASE_URL="http://model",
        TEMPORAL_API_KEY="key-of-temporal",
        TEMPORAL_TLS_CLIENT_KEY_PATH="/path/of/a/key",
        TEMPORAL_ADDRESS="temporal.example:7233",
        TEMPORAL_NAMESPACE="worktrain",
        TEMPORAL_GRPC_META_TEMPORAL_NAMESPACE="worktrain",
        TEMPORAL_TLS_SERVER_NAME="temporal.example",
        TEMPORAL_GRPC_META_AUTHORIZATION="key-of-a-proxy",
        ANTHROPIC_WORK_SECRET="key-without-the-word",
        ANTHROPIC_AUTH_TOKEN="worktrain",
        WORKTRAIN_MODEL_KEY="key-of-ours",
    )
    keys = {"key-of-the-sdk", "key-of-temporal", "key-of-a-proxy", "key-without-the-word"}
    assert set(settings.known_secrets) == {*keys, "key-of-ours"}


def test_a_key_that_was_fetched_is_one_that_no_log_may_show(tmp_path: Path) -> None:
    settings = at(tmp_path, f"model_key: 'cmd:echo {KEY}'")
    assert not settings.known_secrets
    assert settings.model_key is not None
    assert KEY in settings.known_secrets


def test_a_fingerprint_changes_with_whatever_a_worker_inherits(tmp_path: Path) -> None:
    kinds: list[dict[str, str]] = [
        {},
        {"ANTHROPIC_API_KEY": "a"},
        {"ANTHROPIC_API_KEY": "b"},
        {"ANTHROPIC_AUTH_TOKEN": "a"},
        {"ANTHROPIC_BASE_URL": "http://x"},
        {"WORKTRAIN_MODEL_KEY": "a"},
        {"WORKTRAIN_MODEL_BASE_URL": "http://x"},
        {"WORKTRAIN_STORE_URL": "sqlite:////x"},
        {"WORKTRAIN_TASK_QUEUE": "other"},
        {"TEMPORAL_ADDRESS": "h:1"},
    ]
    prints = [at(tmp_path, **env).fingerprint() for env in kinds]
    assert len(set(prints)) == len(kinds)
    assert prints == [at(tmp_path, **env, EDITOR="vi").fingerprint() for env in kinds]


def test_a_fingerprint_of_another_home_tells_nothing_about_this_one(tmp_path: Path) -> None:
    prints = set()
    for name in ("one", "two"):
        settings = at(tmp_path / name, ANTHROPIC_API_KEY=KEY)
        prints.add(settings.model_copy(update={"home": tmp_path / name}).fingerprint())
        assert (tmp_path / name / "run" / "salt").stat().st_mode & 0o777 == 0o600
        assert os.listdir(tmp_path / name / "run") == ["salt"]
    assert len(prints) == 2


NO_FILE = {"TEMPORAL_CONFIG_FILE": os.devnull}


def test_a_temporal_of_ones_own_is_one_with_an_address(tmp_path: Path) -> None:
    assert not external_temporal(NO_FILE)
    assert not external_temporal({**NO_FILE, "TEMPORAL_NAMESPACE": "x", "TEMPORAL_ADDRESS": ""})
    assert external({**NO_FILE, "TEMPORAL_ADDRESS": "h:1"}) == External(
        address="h:1", namespace="default"
    )
    config = tmp_path / "temporal.toml"
    config.write_text('[profile.team]\naddress = "team:7233"\nnamespace = "work"\n')
    env = {"TEMPORAL_CONFIG_FILE": str(config)}
    assert not external_temporal(env)
    assert external({**env, "TEMPORAL_PROFILE": "team"}) == External(
        address="team:7233", namespace="work"
    )


def test_a_broken_temporal_configuration_is_named_and_not_quoted(tmp_path: Path) -> None:
    config = tmp_path / "temporal.toml"
    config.write_text('[profile.default]\napi_key = "secret-in-a-broken-line\n')
    with pytest.raises(AdapterError, match="TEMPORAL_CONFIG_FILE") as caught:
        external({"TEMPORAL_CONFIG_FILE": str(config)})
    assert "secret-in" not in caught.value.said
