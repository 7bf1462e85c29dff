"""Keeps server and worker alive: a process that starts each again when it has died."""

import json
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib.metadata import version

from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.embedded import server
from worktrain.embedded.processes import (
    LOOK_S,
    START_S_MAX,
    Process,
    Role,
    adopt_lock,
    reap,
)
from worktrain.settings import Settings, external

WATCH_S = 0.5
"""How often the supervisor looks after processes that are not its children."""
PAUSE_S_MIN, PAUSE_S_MAX, STEADY_S = 1.0, 30.0, 60.0
WORKERS_SEEN_MAX = 3
"""So many in a row that ended are enough to give up waiting."""

logger = logging.getLogger(__name__)


def supervise(settings: Settings, env: Mapping[str, str]) -> None:
    """Keep server and worker alive until SIGTERM, which ends the worker and leaves the server.

    For the main thread of a process of its own. Raises `AdapterError`: conflict (there is a
    supervisor already), misconfigured.
    """
    me = Role("supervisor", settings)
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


class Watch:
    """Starts one process again whenever it has died, ever more patiently."""

    def __init__(self, role: Role, launch: Callable[[], "subprocess.Popen[bytes] | None"]) -> None:
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
        self._server = Watch(Role("server", settings), self._launch_server)
        self._worker = Watch(Role("worker", settings), self._launch_worker)
        self._roles = (self._server.role, self._worker.role, Role("supervisor", settings))
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
        self._worker.role.end()
        logger.info("supervisor ended")

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _look(self) -> None:
        address = self._external.address if self._external else self._server_address()
        worker = self._worker.role
        if running := worker.running():
            if running.fingerprint != self._fingerprint or address not in (None, running.address):
                logger.info("worker has other settings", extra={"pid": running.pid})
                worker.end()
            self._worker.look()
        elif address and (self._external or server.listens(address)):
            self._worker.look()
        for role in self._roles:
            role.bound_log()

    def _server_address(self) -> str | None:
        """Where our own server is, started again if it has died."""
        self._server.look()
        running = self._server.role.running()
        if running is None:
            return None
        if not server.retention_is_set(self._settings):
            program = server.find_program()
            if server.owns(running) and server.healthy(program, running.address):
                why = server.set_retention(self._settings, program, running)
                if why:
                    logger.warning("retention not set", extra={"why": why})
        return running.address

    def _launch_server(self) -> "subprocess.Popen[bytes] | None":
        return server.launch(self._server.role, self._settings, server.find_program())

    def _launch_worker(self) -> "subprocess.Popen[bytes] | None":
        where = self._external or self._server.role.running()
        if where is None:
            return None
        env = {**self._env, "WORKTRAIN_HOME": str(self._settings.home)}
        if self._external is None:
            env = {name: value for name, value in env.items() if not name.startswith("TEMPORAL_")}
            # The worker finds our server as it would find any other.
            env |= {
                "TEMPORAL_ADDRESS": where.address,
                "TEMPORAL_NAMESPACE": server.NAMESPACE,
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
                _about_us(where.address, self._fingerprint),
            )


def ensure_worker(settings: Settings, env: Mapping[str, str], reached: server.Endpoints) -> None:
    """See to it that a supervised worker runs, and on our own server that it asks for tasks.

    Blocks up to 60 s. Raises `AdapterError`: misconfigured, unreachable, conflict.
    """
    _ensure_supervisor(settings, env, "" if reached.ours else reached.address)
    _await_worker(settings, reached)


def _ensure_supervisor(settings: Settings, env: Mapping[str, str], address: str) -> None:
    """See to it that a supervisor with these settings runs; `address` is empty for our server."""
    role = Role("supervisor", settings)
    # Before the lock is looked at: fetching a key may take seconds, or fail.
    wanted = settings.fingerprint() if settings.names_a_model else None
    running = role.running()
    if running and not (
        running.version == version("worktrain")
        and running.address == address
        and running.fingerprint == (wanted or running.fingerprint)
    ):
        role.end()
    while not role.held():
        with role.taken() as lock:
            if lock is not None:
                state = _about_us(address, wanted or settings.fingerprint())
                command = [sys.executable, "-m", "worktrain.embedded"]
                at_home = {**env, "WORKTRAIN_HOME": str(settings.home)}
                reap(role.spawn(lock, command, at_home, state))
                return
        time.sleep(LOOK_S)


def _about_us(address: str, fingerprint: str) -> dict[str, str]:
    return {"address": address, "version": version("worktrain"), "fingerprint": fingerprint}


def _await_worker(settings: Settings, reached: server.Endpoints) -> None:
    """Wait until the worker runs, and on our own server until it asks for tasks."""
    supervisor, worker = Role("supervisor", settings), Role("worker", settings)
    seen: set[int] = set()
    began_s = time.time()
    deadline = time.monotonic() + START_S_MAX
    why = f"it did not ask for tasks within {START_S_MAX} s"
    while time.monotonic() < deadline:
        chief, running = supervisor.running(), worker.running()
        current = running and chief and running.fingerprint == chief.fingerprint
        if running and current and _asks_for_tasks(reached, settings.task_queue, running):
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


def _asks_for_tasks(reached: server.Endpoints, queue: str, worker: Process) -> bool:
    """Whether somebody has polled since this worker was started; only our own server is asked."""
    if not reached.ours:
        return True
    # What the other mode says of pollers is up to five seconds old.
    describe = ("task-queue", "describe", "--legacy-mode", "--output", "json")
    which = ("--namespace", reached.namespace, "--task-queue", queue)
    said = server.ask(server.find_program(), reached.address, *describe, *which)
    try:
        polls = [poller["last_access_time"] for poller in json.loads(said.stdout)["pollers"] or []]
        times = [poll["seconds"] + poll.get("nanos", 0) / 1e9 for poll in polls]
    except (ValueError, KeyError, TypeError):
        return False
    return any(at_s >= worker.started for at_s in times)
