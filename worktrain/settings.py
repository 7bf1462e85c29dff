"""The only reader of the environment and of `settings.yml`: where WorkTrain lives, with what."""

import os
import secrets
import signal
import subprocess
from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from worktrain.contracts.base import Authored, Value
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.engine.parse import Unreadable, read

KEY_COMMAND_S_MAX = 10
KEY_BYTES_MAX = 10_000
INHERITED = ("ANTHROPIC_", "TEMPORAL_")
"""Variables that the SDKs read by themselves; a worker is started with them."""
NO_SECRETS = (
    *("_ADDRESS", "_BASE_URL", "_ENDPOINT", "_SERVER_NAME", "_NAMESPACE", "_PROFILE"),
    *("_MODEL", "_LOG", "_FILE", "_PATH", "_DIR"),
)
"""Ends of the names of those whose values may stand in a log: masking them would garble it."""


def _reference(text: str) -> str:
    kind, _, rest = text.partition(":")
    if kind not in ("env", "file", "cmd") or not rest.strip():
        raise ValueError(
            "wanted is where the key is kept: env:NAME, file:PATH or cmd:COMMAND; "
            "the key itself does not belong in a file"
        )
    return text


def _web_address(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError("an address that begins with http:// or https:// is wanted")
    return text.rstrip("/")


def _store_address(text: str) -> str:
    if "://" not in text:
        raise ValueError("an address like sqlite:////path/file.db or postgresql://... is wanted")
    return text


Port = Annotated[int, Field(ge=1, le=65535)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
StoreAddress = Annotated[str, AfterValidator(_store_address)]
Reference = Annotated[str, AfterValidator(_reference)]
QueueName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]


class WorkerTuning(Authored):
    """How a worker process is run. The defaults were measured; see docs/reference."""

    workflow_tasks_max: int = Field(default=4, ge=1, le=8)
    """At the SDK's 100, a restart under 80 live sessions wedges the worker for good."""
    cached_workflows_max: int = Field(default=500, ge=1, le=5000)
    activities_max: int = Field(default=16, ge=1, le=200)
    sticky_s: float = Field(default=3, gt=0, le=60)
    heartbeat_throttle_s: float = Field(default=1, gt=0, le=60)
    graceful_s: float = Field(default=20, gt=0, le=20)
    """The supervisor waits 25 s before it kills."""
    command: tuple[str, ...] = ()
    """What the supervisor starts instead of this installation's own worker."""


class SettingsFile(Authored):
    """`settings.yml` as a person writes it. The environment overrides it."""

    store_url: StoreAddress | None = None
    temporal_port: Port | None = None
    ui_port: Port | None = None
    model_base_url: WebAddress | None = None
    model_key: Reference | None = None
    task_queue: QueueName = "worktrain"
    worker: WorkerTuning = WorkerTuning()


class Settings(BaseModel):
    """Everything that is configured outside of a repository."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    home: Path
    store_url: StoreAddress = Field(repr=False)
    temporal_port: Port | None = None
    """None: 7233 if it is free, else any."""
    ui_port: Port | None = None
    """None: 8233 if it is free, else any."""
    model_base_url: WebAddress | None = None
    model_key_from: Reference | None = Field(default=None, repr=False)
    given_key: SecretStr | None = None
    """The key itself, when the environment gave it."""
    task_queue: QueueName = "worktrain"
    worker: WorkerTuning = WorkerTuning()
    inherited: dict[str, SecretStr] = {}
    """What the environment tells the SDKs, see `INHERITED`."""

    @cached_property
    def model_key(self) -> SecretStr | None:
        """The model key, fetched when it is first asked for; None leaves the SDK to its own.

        Raises `AdapterError`: misconfigured (the place it is kept at does not give it).
        """
        if self.given_key is not None or self.model_key_from is None:
            return self.given_key
        kind, _, where = self.model_key_from.partition(":")
        if kind == "env":
            raise _misconfigured(f"model_key in settings.yml is env:{where}, which is not set")
        key = _from_file(where, self.home) if kind == "file" else _from_command(where)
        return _checked(key, f"model_key ({kind}:...)")

    @property
    def names_a_model(self) -> bool:
        """Whether anything here says how to reach a model. A variable that is not set does not."""
        kept = self.model_key_from is not None and not self.model_key_from.startswith("env:")
        ours = (kept, self.given_key, self.model_base_url)
        return any(ours) or any(name.startswith("ANTHROPIC_") for name in self.inherited)

    @property
    def known_secrets(self) -> tuple[str, ...]:
        """The values that no log may show; the model key as soon as it has been fetched."""
        key: SecretStr | None = self.__dict__.get("model_key", self.given_key)
        kept = [value for name, value in self.inherited.items() if not name.endswith(NO_SECRETS)]
        values = (value.get_secret_value() for value in (*kept, *([key] if key else [])))
        # For a model of one's own any word is a key; this one stands in most lines of a log.
        return tuple(value for value in values if value != "worktrain")

    def open_home(self) -> Path:
        """The home directory, made for this user alone if it was not there.

        Raises `AdapterError`: misconfigured.
        """
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in ("run", "logs"):
                (self.home / name).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise _misconfigured(
                f"Making WorkTrain's home {self.home} failed: {error.strerror}. "
                "Set WORKTRAIN_HOME to a directory that you may write to"
            ) from error
        return self.home

    def fingerprint(self) -> str:
        """Stands for all that a worker takes from here: another one means another worker.

        Salted with a secret of this home, so that nothing can be guessed from it. Raises
        `AdapterError`: misconfigured.
        """
        key = self.model_key
        parts = {
            "version": version("worktrain"),
            "key": key.get_secret_value() if key else "",
            "settings": self.model_dump_json(exclude={"given_key", "inherited"}),
            **{name: value.get_secret_value() for name, value in self.inherited.items()},
        }
        text = "\0".join(f"{name}={parts[name]}" for name in sorted(parts))
        return sha256(self._salt() + text.encode(errors="surrogateescape")).hexdigest()

    def _salt(self) -> bytes:
        path = self.open_home() / "run" / "salt"
        mine = path.with_name(f"salt.{secrets.token_hex(8)}")
        try:
            if not path.exists():
                mine.touch(mode=0o600)
                mine.write_bytes(secrets.token_bytes(32))
                # A link is all or nothing, and fails when another process was first.
                try:
                    os.link(mine, path)
                except FileExistsError:
                    pass
                finally:
                    mine.unlink()
            return path.read_bytes()
        except OSError as error:
            raise _misconfigured(f"Keeping {path} failed: {error.strerror}") from error


class External(Value):
    """A Temporal server that is somebody else's to run."""

    address: str
    namespace: str


def load(env: Mapping[str, str]) -> Settings:
    """Settings from `settings.yml` in WorkTrain's home, overridden by `env`. Makes nothing.

    Raises `AdapterError`: misconfigured, with every line that has to change.
    """
    home = _home(env)
    file = _file(home / "settings.yml")
    given: dict[str, object] = {
        "store_url": env.get("WORKTRAIN_STORE_URL") or file.store_url,
        "temporal_port": env.get("WORKTRAIN_TEMPORAL_PORT") or file.temporal_port,
        "ui_port": env.get("WORKTRAIN_UI_PORT") or file.ui_port,
        "model_base_url": env.get("WORKTRAIN_MODEL_BASE_URL") or file.model_base_url,
        "task_queue": env.get("WORKTRAIN_TASK_QUEUE") or file.task_queue,
    }
    given["store_url"] = given["store_url"] or f"sqlite:///{home / 'worktrain.db'}"
    try:
        return Settings.model_validate(
            {
                **given,
                "home": home,
                "model_key_from": file.model_key,
                "given_key": _given_key(env, file.model_key),
                "worker": file.worker,
                "inherited": {n: v for n, v in env.items() if v and n.startswith(INHERITED)},
            }
        )
    except ValidationError as error:
        said = "; ".join(
            f"WORKTRAIN_{str(problem['loc'][0]).upper()}: "
            + problem["msg"].removeprefix("Value error, ")
            for problem in error.errors(include_input=False)
        )
        raise _misconfigured(f"Reading settings from the environment failed: {said}") from error


def external_temporal(env: Mapping[str, str]) -> bool:
    """Whether Temporal's own configuration names a server, so that none is to be started."""
    return external(env) is not None


def external(env: Mapping[str, str]) -> External | None:
    """The server that Temporal's own configuration names: variables, or its TOML file.

    Raises `AdapterError`: misconfigured.
    """
    from temporalio.envconfig import ClientConfigProfile

    ours = {name: value for name, value in env.items() if value}
    try:
        profile = ClientConfigProfile.load(override_env_vars=ours)
    except Exception as error:
        # The SDK's error is of no importable type; lines after its first quote the file.
        said = str(error).partition("\n")[0]
        raise _misconfigured(
            f"Reading Temporal's own configuration failed: {said}. "
            "Check TEMPORAL_PROFILE and TEMPORAL_CONFIG_FILE"
        ) from None
    if not profile.address:
        return None
    return External(address=profile.address, namespace=profile.namespace or "default")


def bare_environment() -> dict[str, str]:
    """What a program of ours needs that has no business with keys or with other servers."""
    names = ("PATH", "HOME", "LANG", "TMPDIR", "TZ", "USER")
    return {name: os.environ[name] for name in names if name in os.environ}


def _home(env: Mapping[str, str]) -> Path:
    user = Path(env.get("HOME") or Path.home())
    if given := env.get("WORKTRAIN_HOME"):
        return Path(os.path.abspath(user / given[2:] if given.startswith("~/") else given))
    state = Path(env.get("XDG_STATE_HOME") or "")
    # A relative XDG directory has to be ignored, says its specification.
    return (state if state.is_absolute() else user / ".local" / "state") / "worktrain"


def _file(path: Path) -> SettingsFile:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return SettingsFile()
    except OSError as error:
        raise _misconfigured(f"Reading {path} failed: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _misconfigured(f"Reading {path} failed: it is not UTF-8 text") from error
    try:
        return read(text, SettingsFile, str(path))
    except Unreadable as error:
        raise _misconfigured(str(error)) from error


def _given_key(env: Mapping[str, str], reference: str | None) -> SecretStr | None:
    if key := env.get("WORKTRAIN_MODEL_KEY"):
        return _checked(key, "WORKTRAIN_MODEL_KEY")
    if reference is None or not reference.startswith("env:"):
        return None
    name = reference.removeprefix("env:")
    return _checked(env[name], name) if env.get(name) else None


def _from_file(where: str, home: Path) -> str:
    path = home / Path(where).expanduser()
    try:
        with path.open("rb") as file:
            return file.read(KEY_BYTES_MAX).decode(errors="replace")
    except OSError as error:
        raise _misconfigured(
            f"Reading the model key from {path} failed: {error.strerror}. "
            "Correct model_key in settings.yml"
        ) from error


def _from_command(command: str) -> str:
    """What the command prints. Neither its output nor its errors are shown: both may be keys."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=KEY_COMMAND_S_MAX)
    except subprocess.TimeoutExpired as error:
        # Not yet waited for, so its process group is still its own.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise _misconfigured(
            f"The command for model_key in settings.yml took longer than {KEY_COMMAND_S_MAX} s. "
            "It must not ask questions; run it by hand"
        ) from error
    if process.returncode:
        raise _misconfigured(
            f"The command for model_key in settings.yml ended with status {process.returncode}. "
            "Run it by hand to see why"
        )
    return printed[:KEY_BYTES_MAX].decode(errors="replace")


def _checked(key: str, where: str) -> SecretStr:
    key = key.strip()
    if not key or not (key.isascii() and key.isprintable()) or " " in key:
        raise _misconfigured(f"What {where} gives is not a key: it is empty or has odd characters")
    return SecretStr(key)


def _misconfigured(said: str) -> AdapterError:
    return AdapterError(FailureKind.MISCONFIGURED, f"{said}.")
