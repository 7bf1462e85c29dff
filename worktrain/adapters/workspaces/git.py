"""The git program: one asynchronous runner, and what its answers mean."""

import asyncio
import errno
import fcntl
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from worktrain.contracts.failure import AdapterError, FailureKind

# Passed where a working tree or an index is written: all of it, whatever the owner has set.
WHOLE = ("core.sparseCheckout=false", "core.splitIndex=false")

# Passed on every call: what a repository, a nested repository or a hook could otherwise run
# or redirect, and the upkeep that would outlive the call.
_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.safecrlf=false",
    "core.quotePath=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "push.recurseSubmodules=no",
    "push.followTags=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "log.showSignature=false",
    "i18n.commitEncoding=utf-8",
    "i18n.logOutputEncoding=utf-8",
    "color.ui=false",
)

# A worker that was itself started by git (a hook, an alias) carries the caller's repository.
_INHERITED = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_EXTERNAL_DIFF",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_NOTES_REF",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
    "SSH_ASKPASS",
)

# Without a terminal, and told never to ask: a question fails instead of waiting for ever.
# Replacement refs would let a commit name a tree that it does not have.
_SILENT = {
    "GCM_INTERACTIVE": "never",
    "GIT_EDITOR": "true",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_SEQUENCE_EDITOR": "true",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
    "SSH_ASKPASS_REQUIRE": "never",
}

_AUTH = re.compile(
    r"authentication failed|permission denied|could not read (username|password)"
    r"|terminal prompts disabled|host key verification failed|access denied"
    r"|returned error: 40[13]|not authorized|invalid credentials",
    re.IGNORECASE,
)
_LOCAL_AUTH = re.compile(r"dubious ownership", re.IGNORECASE)
_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_CREDENTIALS = re.compile(r"://[^/\s@']+@")


@dataclass(frozen=True)
class At:
    """Where git works. Naming the git directory keeps a `.git` that stands in the working tree
    from redirecting the call."""

    git_dir: Path
    work_tree: Path | None = None


@dataclass(frozen=True)
class Ran:
    """How a git command ended."""

    code: int
    out: bytes
    err: str
    cut: bool = False
    """It printed more than was asked for."""

    @property
    def text(self) -> str:
        """Its output; bytes that are not UTF-8 become surrogates, so that paths survive."""
        return self.out.decode("utf-8", "surrogateescape")

    @property
    def why(self) -> str:
        """The first useful line that it complained with, without credentials."""
        lines = [line.strip() for line in self.err.splitlines() if line.strip()]
        grave = [line for line in lines if line.startswith(("fatal:", "error:", "! ", "remote:"))]
        told = [line for line in lines if not line.startswith(("hint:", "warning:", "From "))]
        line = next(iter([*grave, *told, *lines]), f"exit code {self.code}")
        line = re.sub(r"^(fatal|error): ", "", line)
        if line.endswith(":"):
            listed = (entry.strip() for entry in self.err.splitlines() if entry.startswith("\t"))
            line = f"{line} {', '.join(listed)}"
        return printable(_CREDENTIALS.sub("://…@", line))[:300].rstrip(".")


def printable(text: str) -> str:
    """The text with undecodable bytes replaced, as it may stand in a contract."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def split(listed: str) -> list[str]:
    """The entries of a listing that was asked for with `-z`."""
    return [entry for entry in listed.split("\0") if entry]


def remote_failure(ran: Ran) -> FailureKind:
    """Whether a remote refused us or could not be reached."""
    return FailureKind.AUTH if _AUTH.search(ran.err) else FailureKind.UNREACHABLE


@contextmanager
def disk(doing: str) -> Iterator[None]:
    """Turn an operating system error into a sentence about what was being done."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        kind = FailureKind.DISK_FULL if full else FailureKind.MISCONFIGURED
        then = "free some space" if full else "check that the path exists and may be written"
        raise AdapterError(
            kind, f"{doing} failed: {error.strerror} ({error.filename}); {then}."
        ) from error


class Git:
    """Runs the git program, never interactively, and kills what it started when cancelled.

    `environ` is what git inherits (PATH, HOME, credentials); this process's own when absent.
    """

    def __init__(
        self,
        program: str = "git",
        timeout_s_max: float = 600,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._program = program
        self._timeout_s_max = timeout_s_max
        self._environ = environ
        self._locks: dict[Path, asyncio.Lock] = {}

    async def run(
        self,
        at: At | Path,
        *args: str,
        doing: str,
        kind: FailureKind = FailureKind.CONFLICT,
        then: str = "",
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        config: tuple[str, ...] = (),
    ) -> str:
        """The output of a command that must succeed.

        `doing` and `then` (what can be done) become the sentence of the `AdapterError`, whose
        kind is `kind`; disk_full, missing_program and stalled are told apart by themselves.
        """
        ran = await self.attempt(at, *args, doing=doing, stdin=stdin, env=env, config=config)
        if ran.code != 0:
            raise self.failed(ran, kind, doing, then)
        if ran.cut:
            raise AdapterError(
                FailureKind.MISCONFIGURED,
                f"{doing}: git {args[0]} answered with more than can be read; "
                "the repository is too large for WorkTrain.",
            )
        return ran.text

    def failed(self, ran: Ran, kind: FailureKind, doing: str, then: str = "") -> AdapterError:
        """The error for a command that ended badly."""
        if _LOCAL_AUTH.search(ran.err):
            kind = FailureKind.MISCONFIGURED
            then = "run the worker as the owner, or add the path to git's safe.directory"
        return AdapterError(kind, f"{doing}: git says: {ran.why}{f'; {then}' if then else ''}.")

    async def attempt(
        self,
        at: At | Path,
        *args: str,
        doing: str,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        config: tuple[str, ...] = (),
        out_bytes_max: int = 256_000_000,
    ) -> Ran:
        """Run a command whose exit code is an answer. A `Path` is searched upwards for its
        repository, as git does."""
        settings = [word for item in (*_CONFIG, *config) for word in ("-c", item)]
        with _Kept(out_bytes_max) as out, _Kept(1 << 16) as err:
            words = (*_where(at), "--no-pager", *settings, *args)
            process = await self._start(words, doing, stdin is not None, env or {}, out, err)
            try:
                async with asyncio.timeout(self._timeout_s_max):
                    code = await _finish(process, stdin, out, err)
            except TimeoutError as error:
                raise AdapterError(
                    FailureKind.STALLED,
                    f"{doing}: git {args[0]} was still running after {self._timeout_s_max:.0f} s "
                    "and was stopped; check the disk and the remote.",
                ) from error
            finally:
                if process.returncode is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    await process.wait()
        ran = Ran(code, bytes(out.data), err.data.decode("utf-8", "replace"), out.cut)
        if ran.code != 0 and _FULL.search(ran.err):
            raise AdapterError(
                FailureKind.DISK_FULL, f"{doing}: {ran.why}; free some space, then resume."
            )
        return ran

    async def _start(
        self,
        words: tuple[str, ...],
        doing: str,
        fed: bool,
        env: Mapping[str, str],
        out: "_Kept",
        err: "_Kept",
    ) -> asyncio.subprocess.Process:
        inherited = os.environ if self._environ is None else self._environ
        environ = {key: value for key, value in inherited.items() if key not in _INHERITED}
        try:
            return await asyncio.create_subprocess_exec(
                self._program,
                *words,
                stdin=asyncio.subprocess.PIPE if fed else asyncio.subprocess.DEVNULL,
                stdout=out.end,
                stderr=err.end,
                env={**environ, **_SILENT, **env},
                start_new_session=True,
            )
        except (FileNotFoundError, PermissionError) as error:
            raise AdapterError(
                FailureKind.MISSING_PROGRAM,
                f"{doing}: the program {self._program!r} cannot be started; "
                "install git and put it on the worker's PATH.",
            ) from error
        except ValueError as error:
            raise AdapterError(
                FailureKind.INVALID, f"{doing}: a name in it cannot be given to git: {error}."
            ) from error
        except OSError as error:
            raise AdapterError(
                FailureKind.INTERRUPTED, f"{doing}: git could not be started: {error}."
            ) from error
        finally:
            out.started()
            err.started()

    @asynccontextmanager
    async def exclusive(self, lock: Path) -> AsyncIterator[None]:
        """Hold a lock file against this and every other process; the system releases it when
        its holder dies."""
        async with self._locks.setdefault(lock, asyncio.Lock()):
            with disk(f"Taking the lock {lock}"):
                file = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
            try:
                while True:
                    try:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        break
                    except BlockingIOError:
                        # Another process holds it; a blocking wait could not be cancelled.
                        await asyncio.sleep(0.02)
                yield
            finally:
                os.close(file)


def _where(at: At | Path) -> list[str]:
    if isinstance(at, Path):
        return ["-C", str(at)]
    where = ["-C", str(at.git_dir), f"--git-dir={at.git_dir}"]
    return where if at.work_tree is None else [*where, f"--work-tree={at.work_tree}"]


class _Kept:
    """A pipe and the beginning of what came through it; the rest is read and dropped.

    The pipe is ours and not asyncio's, whose `wait` lasts until every pipe is closed: an ssh
    connection that is kept for later would hold it open long after git is done.
    """

    def __init__(self, bytes_max: int) -> None:
        self._read, self.end = os.pipe()
        self._bytes_max = bytes_max
        self.data = bytearray()
        self.cut = False

    def __enter__(self) -> "_Kept":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._read)

    def started(self) -> None:
        """The program has its end by now, or never will."""
        os.close(self.end)

    async def drain(self) -> None:
        os.set_blocking(self._read, False)
        loop = asyncio.get_running_loop()
        while True:
            try:
                chunk = os.read(self._read, 1 << 16)
            except BlockingIOError:
                ready = loop.create_future()
                loop.add_reader(self._read, _set, ready)
                try:
                    await ready
                finally:
                    loop.remove_reader(self._read)
                continue
            if not chunk:
                return
            room = self._bytes_max - len(self.data)
            self.data += chunk[:room]
            self.cut = self.cut or len(chunk) > room
            # A fast writer must not keep the loop from everything else.
            await asyncio.sleep(0)


def _set(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


async def _finish(
    process: asyncio.subprocess.Process, stdin: bytes | None, out: _Kept, err: _Kept
) -> int:
    readers = [asyncio.create_task(out.drain()), asyncio.create_task(err.drain())]
    try:
        if process.stdin is not None:
            # A command that refuses early closes its end; its exit code says why.
            with suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write(stdin or b"")
                await process.stdin.drain()
            process.stdin.close()
        code = await process.wait()
        await asyncio.wait(readers, timeout=0.5)
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    return code
