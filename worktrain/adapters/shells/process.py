"""The one runner that all shells share: starts a program, keeps its output, ends all of it."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from worktrain.adapters.shells import Command, CommandResult
from worktrain.adapters.shells.reach import failure_of
from worktrain.contracts.failure import AdapterError, FailureKind

PROGRESS_EVERY_S = 3.0
GRACE_S = 2.0
"""Between asking a command to end and killing it."""
DRAIN_S = 0.5
"""How long output is awaited after the program itself has ended."""


async def run(
    argv: Sequence[str],
    command: Command,
    env: Mapping[str, str],
    cwd: Path,
    progress: Callable[[str], None],
    pass_fds: Sequence[int] = (),
    group: Callable[[], int | None] = lambda: None,
) -> CommandResult:
    """Run `argv` in a session of its own until it ends, or kill its process group.

    `group` names another process group that has to be asked to end first, once it is known.
    Raises `AdapterError`: disk_full, invalid (the line cannot be an argument), missing_program.
    """
    with Kept(command.output, command.output_bytes_max) as kept:
        began = time.monotonic()
        process = await _start(argv, env, cwd, pass_fds, kept)
        ended = asyncio.ensure_future(process.wait())
        timed_out = False
        try:
            while not ended.done() and kept.failure is None:
                left_s = began + command.timeout_s - time.monotonic()
                if left_s <= 0:
                    timed_out = True
                    break
                waited: set[asyncio.Future[Any]] = {ended, kept.broken}
                await asyncio.wait(
                    waited,
                    timeout=min(PROGRESS_EVERY_S, left_s),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                seconds = time.monotonic() - began
                if not ended.done():
                    progress(f"running for {seconds:.0f} s, {kept.bytes_seen} bytes of output")
        finally:
            await _to_the_end(_stop(process.pid, ended, group))
            await _to_the_end(kept.drained())
        if kept.failure is not None:
            raise failure_of(kept.failure, f"keeping a command's output in {command.output}")
        code = ended.result()
        return CommandResult(
            exit_code=None if timed_out else code if code >= 0 else 128 - code,
            output=kept.text(),
            output_bytes=kept.bytes_seen,
            seconds=time.monotonic() - began,
        )


async def _start(
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: Path,
    pass_fds: Sequence[int],
    kept: "Kept",
) -> asyncio.subprocess.Process:
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=kept.write_fd,
            stderr=kept.write_fd,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
            pass_fds=tuple(pass_fds),
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # It may be alive already, and nobody else would end it.
        with suppress(OSError, ValueError):
            process = await starting
            await _to_the_end(_stop(process.pid, asyncio.ensure_future(process.wait()), _no_group))
        raise
    except FileNotFoundError as error:
        said = f"starting {argv[0]!r} in {cwd}: {error}. Check that both are there."
        raise AdapterError(FailureKind.MISSING_PROGRAM, said) from error
    except (ValueError, OSError) as error:
        said = f"starting a command: {error}. It was not run; use a shorter line without NUL bytes."
        raise AdapterError(FailureKind.INVALID, said) from error
    finally:
        if starting.done():
            kept.started()


def _no_group() -> int | None:
    return None


async def _stop(pid: int, ended: "asyncio.Future[int]", group: Callable[[], int | None]) -> None:
    if not ended.done():
        asked = group() or pid
        _signal(asked, signal.SIGTERM)
        await asyncio.wait({ended}, timeout=GRACE_S)
        if not ended.done():
            _signal(asked, signal.SIGKILL)
            await asyncio.wait({ended}, timeout=GRACE_S)
    # The program's own end does not end what it left in its group.
    _signal(pid, signal.SIGKILL)
    await asyncio.wait({ended})


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Do it completely, even when cancelled while at it; the cancellation comes afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()


class Kept:
    """What a program printed: half of the bytes from the beginning, half from the end, and in a
    file everything up to the limit."""

    def __init__(self, file: Path | None, bytes_max: int) -> None:
        self._path = file
        self._bytes_max = bytes_max
        self._head_max = bytes_max // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._file: int | None = None
        self._eof = asyncio.Event()
        self.bytes_seen = 0
        self.failure: OSError | None = None
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __enter__(self) -> "Kept":
        if self._path is not None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
                self._file = os.open(self._path, flags, 0o600)
            except OSError as error:
                raise failure_of(error, f"opening {self._path} for a command's output") from error
        self._read_fd, self.write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        asyncio.get_running_loop().add_reader(self._read_fd, self._take)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._read_fd)
        self.started()
        os.close(self._read_fd)
        if self._file is not None:
            os.close(self._file)
        self.broken.cancel()

    def started(self) -> None:
        """The program has its own copy of the pipe's end; ours would hide the end of output."""
        if self.write_fd >= 0:
            os.close(self.write_fd)
            self.write_fd = -1

    async def drained(self) -> None:
        """Wait for the end of output, but not for a process that keeps the pipe open for ever."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._eof.wait(), DRAIN_S)

    def text(self) -> str:
        tail_max = self._bytes_max - self._head_max
        return (self._head + self._tail[-tail_max:]).decode("utf-8", "replace")

    def _take(self) -> None:
        try:
            chunk = os.read(self._read_fd, 65536)
        except BlockingIOError:
            return
        if not chunk:
            asyncio.get_running_loop().remove_reader(self._read_fd)
            self._eof.set()
            return
        self._write(chunk[: max(0, self._bytes_max - self.bytes_seen)])
        self.bytes_seen += len(chunk)
        room = self._head_max - len(self._head)
        self._head += chunk[:room] if room > 0 else b""
        self._tail += chunk[room:] if room > 0 else chunk
        tail_max = self._bytes_max - self._head_max
        if len(self._tail) > 2 * tail_max + 65536:
            del self._tail[:-tail_max]

    def _write(self, chunk: bytes) -> None:
        if self._file is None or self.failure is not None:
            return
        try:
            while chunk:
                chunk = chunk[os.write(self._file, chunk) :]
        except OSError as error:
            self.failure = error
            if not self.broken.done():
                self.broken.set_result(None)


class StatusPipe:
    """A pipe on which a sandbox says that it is in force; the command never holds its end."""

    def __init__(self) -> None:
        self._said = b""

    def __enter__(self) -> "StatusPipe":
        self._read_fd, self.write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        os.close(self._read_fd)
        os.close(self.write_fd)

    def said(self) -> str:
        """Everything that was said so far."""
        with suppress(BlockingIOError):
            while chunk := os.read(self._read_fd, 4096):
                self._said += chunk
        return self._said.decode("utf-8", "replace")
