"""One process of a home: the lock it inherits, what it wrote of itself, its pid, its log.

A process holds its lock for as long as it lives, whoever started it; what stands beside the
lock is only true while it is held.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from worktrain.contracts.base import Value
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.settings import Settings

RoleName = Literal["server", "supervisor", "worker"]

ENDING_S_MAX: Mapping[RoleName, int] = {"supervisor": 35, "worker": 25, "server": 15}
"""How long each may take to end, in the order in which `down` ends them. The supervisor ends
the worker before itself."""
START_S_MAX = 60
"""How long each may take until it can be used."""
LOOK_S = 0.05
"""How often a starter looks whether what it waits for has come."""
LOG_BYTES_MAX = 20_000_000
LOCK_FD = "WORKTRAIN_LOCK_FD"

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

Kept = TypeVar("Kept", bound=Value)


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


class Role:
    """One of the processes: `server`, `supervisor` or `worker`."""

    def __init__(self, name: RoleName, settings: Settings) -> None:
        self.name = name
        self._settings = settings
        self._lock = settings.home / "run" / f"{name}.lock"
        self._state = settings.home / "run" / f"{name}.json"
        self._log = settings.home / "logs" / f"{name}.log"

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
        return kept(self._state, Process)

    def write(self, state: Mapping[str, str]) -> None:
        """Say of this process itself what `spawn` lets another one say."""
        keep(self._state, Process(pid=os.getpid(), started=time.time(), **state))

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
        self._rotate_log()
        self._state.unlink(missing_ok=True)
        known = json.dumps(dict(state))
        become = [sys.executable, "-I", "-S", "-c", _BECOME, str(self._state), known, *command]
        try:
            with self._log.open("ab") as log:
                os.chmod(log.fileno(), 0o600)
                return subprocess.Popen(
                    become,
                    # Not where the user stands: `python -m` would import what lies there.
                    cwd=self._settings.home,
                    env={**env, LOCK_FD: str(lock)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(lock,),
                    umask=umask,
                    start_new_session=True,
                )
        except OSError as error:
            raise AdapterError(
                FailureKind.MISCONFIGURED, f"Starting the {self.name} failed: {error.strerror}."
            ) from error

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

    def end(self) -> None:
        """SIGTERM, and SIGKILL when it took too long. Raises `AdapterError`: conflict."""
        for number, wait_s in ((signal.SIGTERM, ENDING_S_MAX[self.name]), (signal.SIGKILL, 5)):
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
            with self._log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - 20_000))
                text = log.read().decode(errors="replace")
        except FileNotFoundError:
            text = ""
        end = "\n".join(text.splitlines()[-lines:])
        return f"The end of {self._log}:\n{end or '(nothing)'}"

    def said(self, words: str) -> bool:
        """Whether the log of the newest start begins with saying this, before any stack trace."""
        try:
            with self._log.open("rb") as log:
                return words.encode() in log.read(20_000)
        except FileNotFoundError:
            return False

    def bound_log(self) -> None:
        """Keep a log that is being appended to from growing without end."""
        with suppress(OSError):
            if self._log.stat().st_size > LOG_BYTES_MAX:
                shutil.copyfile(self._log, self._log.with_suffix(".log.1"))
                os.truncate(self._log, 0)

    def _rotate_log(self) -> None:
        with suppress(FileNotFoundError):
            if self._log.stat().st_size:
                with suppress(FileNotFoundError):
                    self._log.with_suffix(".log.1").replace(self._log.with_suffix(".log.2"))
                self._log.replace(self._log.with_suffix(".log.1"))


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


def reap(process: "subprocess.Popen[bytes]") -> None:
    """Let a detached child that ends before us leave nothing behind."""
    threading.Thread(target=process.wait, daemon=True).start()


def keep(path: Path, value: Value) -> None:
    """Write a state file whole or not at all, also when several do it at once."""
    new = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    new.write_text(value.model_dump_json())
    new.replace(path)


def kept(path: Path, kind: type[Kept]) -> Kept | None:
    """What a state file says; None when it is not there or says nothing of this kind."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _same_file(descriptor: "os.DirEntry[str]", file: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(descriptor.path), file)
    except OSError:
        return False
