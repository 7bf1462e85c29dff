"""The git program: one asynchronous runner, and a repository as it is found on disk."""

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
from urllib.parse import quote

from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import CommitRef

HEAD_NAMES = ("rebase-merge/head-name", "rebase-apply/head-name")

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


@dataclass(frozen=True)
class Checkout:
    """One working tree of a repository, read from the repository's side."""

    git_dir: Path
    root: Path | None
    """None when its registration is half-made, or for a bare repository."""
    branch: str | None
    """Also while that branch is being rebased."""
    busy: bool = False
    """A rebase is in progress."""
    main: bool = False
    mark: str | None = None
    """The reason of its lock: who it belongs to."""

    @property
    def at(self) -> At:
        return At(self.git_dir, self.root)


class Repository:
    """A repository on disk. `common` is the git directory that all its checkouts share."""

    def __init__(self, git: Git, common: Path) -> None:
        self.git = git
        self.common = common
        self.at = At(common)

    @classmethod
    async def find(cls, git: Git, path: str) -> "Repository":
        """The repository that a path lies in. Raises misconfigured when there is none."""
        found = await git.run(
            Path(path),
            "rev-parse",
            "--path-format=absolute",
            "--git-common-dir",
            doing=f"Looking for the repository at {path}",
            kind=FailureKind.MISCONFIGURED,
            then="give a path inside a git repository, or make one with `git init`",
        )
        return cls(git, resolved(Path(found.rstrip("\n"))))

    @asynccontextmanager
    async def exclusive(self, what: str = "worktrees") -> AsyncIterator[None]:
        """One at a time for this repository, over all processes."""
        async with self.git.exclusive(self.common / f"worktrain-{what}.lock"):
            yield

    async def named(self, name: str, at: At | None = None) -> str | None:
        """The full id of the commit that a name or id stands for, or None."""
        ran = await self.git.attempt(
            at or self.at,
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            f"{name}^{{commit}}",
            doing=f"Reading {name} in {self.common}",
        )
        return ran.text.strip() if ran.code == 0 else None

    async def commit(self, name: str) -> CommitRef:
        """A commit and its tree. Raises misconfigured when it is not there."""
        ids = await self.git.attempt(
            self.at,
            "rev-parse",
            "--verify",
            "--end-of-options",
            f"{name}^{{commit}}",
            doing=f"Reading {name}",
        )
        commit = ids.text.strip()
        if ids.code != 0:
            raise AdapterError(
                FailureKind.MISCONFIGURED,
                f"Reading commit {name}: it is not in {self.common}; fetch it, or check its name.",
            )
        tree = await self.git.run(
            self.at, "rev-parse", "--verify", f"{commit}^{{tree}}", doing=f"Reading {commit}"
        )
        return CommitRef(commit=commit, tree=tree.strip())

    async def contains(self, descendant: str, ancestor: str) -> bool:
        """Whether `ancestor` is `descendant` or in its history; False when it is unknown."""
        ran = await self.git.attempt(
            self.at,
            "merge-base",
            "--is-ancestor",
            ancestor,
            descendant,
            doing=f"Comparing {ancestor} with {descendant}",
        )
        return ran.code == 0

    async def config(self, key: str, *kind: str) -> str | None:
        """One setting as this repository's owner has it, or None."""
        ran = await self.git.attempt(
            self.at, "config", *kind, "--get", key, doing=f"Reading the setting {key}"
        )
        return ran.text.strip() if ran.code == 0 else None

    async def identity(self) -> tuple[str, ...]:
        """Settings that name a committer where the owner has not configured one."""
        missing = []
        if not await self.config("user.name"):
            missing.append("user.name=WorkTrain")
        if not await self.config("user.email"):
            missing.append("user.email=worktrain@localhost")
        return tuple(missing)

    async def remote(self) -> str | None:
        """The remote that work is merged to: `origin`, or the only one."""
        names = (
            await self.git.run(self.at, "remote", doing=f"Listing the remotes of {self.common}")
        ).split()
        if "origin" in names or not names:
            return "origin" if names else None
        if len(names) > 1:
            raise AdapterError(
                FailureKind.MISCONFIGURED,
                f"Choosing the remote of {self.common}: it has {', '.join(names)} and none is "
                "called origin; rename the one that work is merged to.",
            )
        return names[0]

    async def fetched(self, remote: str, ref: str, into: str) -> str | None:
        """What a ref of the remote names now, its objects brought here and kept by `into`; None
        when the remote has no such ref. Touches no branch and no tracking ref of the owner."""
        doing = f"Fetching {ref} from {remote} into {self.common}"
        ran = await self.git.attempt(
            self.at,
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-prune",
            "--no-write-fetch-head",
            "--refmap=",
            remote,
            f"+{ref}:{into}",
            doing=doing,
        )
        if ran.code == 0:
            found = await self.git.run(self.at, "rev-parse", "--verify", into, doing=doing)
            return found.strip()
        if "couldn't find remote ref" in ran.err.lower():
            return None
        raise self.git.failed(
            ran, remote_failure(ran), doing, "check the network, the remote's URL and your access"
        )

    async def remote_branch(self, remote: str, branch: str) -> str | None:
        """The head of a branch on the remote, its objects brought here, or None."""
        kept = quote(f"{remote}/{branch}", safe="")
        return await self.fetched(remote, f"refs/heads/{branch}", f"refs/worktrain/heads/{kept}")

    async def checkouts(self) -> tuple[Checkout, ...]:
        """The main checkout, then every linked worktree, half-made ones included."""
        main = await self._read(self.common, await self.main_root(), main=True)
        linked = []
        with disk(f"Reading the worktrees of {self.common}"):
            folder = self.common / "worktrees"
            entries = sorted(folder.iterdir()) if folder.is_dir() else []
            for git_dir in entries:
                dot_git = _line(git_dir / "gitdir")
                # Newer versions of git may write it relative to the registration.
                root = None if dot_git is None else (git_dir / dot_git).parent
                linked.append(await self._read(git_dir, root, main=False))
        return (main, *linked)

    async def main_root(self) -> Path | None:
        """The working tree that belongs to the repository itself; None for a bare one."""
        ran = await self.git.attempt(
            self.at,
            "config",
            "--null",
            "--get-regexp",
            r"^core\.(bare|worktree)$",
            doing=f"Reading the settings of {self.common}",
        )
        entries = (entry.partition("\n") for entry in ran.text.split("\0"))
        settings = {key: value for key, _, value in entries}
        if settings.get("core.bare", "false").lower() in ("true", "yes", "on", "1", ""):
            return None
        if settings.get("core.worktree"):
            return resolved(self.common / settings["core.worktree"])
        return self.common.parent if self.common.name == ".git" else None

    async def _read(self, git_dir: Path, root: Path | None, main: bool) -> Checkout:
        head = await self.git.attempt(
            At(git_dir), "symbolic-ref", "--quiet", "HEAD", doing=f"Reading HEAD of {git_dir}"
        )
        rebasing = next(filter(None, (_line(git_dir / name) for name in HEAD_NAMES)), None)
        ref = head.text.strip() if head.code == 0 else rebasing or ""
        return Checkout(
            git_dir=git_dir,
            root=None if root is None else real(root),
            branch=ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else None,
            busy=rebasing is not None,
            main=main,
            mark=_line(git_dir / "locked"),
        )


def resolved(path: Path) -> Path:
    """The path with every link in it followed."""
    return Path(os.path.realpath(path))


def real(root: Path) -> Path:
    """The path with its parent's links resolved, but not followed itself."""
    return resolved(root.parent) / root.name


def _line(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape").rstrip("\n") or None
    except (FileNotFoundError, NotADirectoryError):
        return None
