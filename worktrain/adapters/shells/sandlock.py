"""Commands confined by Landlock and seccomp, through sandlock: where namespaces are forbidden."""

import importlib.util
import json
import os
import shutil
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from worktrain.adapters.shells import Command, CommandResult, process, reach
from worktrain.contracts.failure import AdapterError, FailureKind

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts")
_GIT_DECIDES = ("config", "config.worktree", "commondir", "hooks")
"""What in a .git directory decides which programs git runs."""
_FILE_BYTES_MAX = 16_000_000
_PUT_BACK = "\n[.git was changed by this command, and was put back]\n"

State = dict[Path, tuple[int, bytes]]


def find_library() -> Path | None:
    """The native library of the installed sandlock package, without importing it."""
    spec = importlib.util.find_spec("sandlock")
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.glob("libsandlock_ffi*.so"))), None)


class SandlockShell:
    """May open only the system, what `PATH` needs and what the command was granted; no socket of
    the host, no signal to its processes.

    Unlike bubblewrap it hides nothing: names and sizes of files elsewhere can be seen, and mode,
    owner and times of this user's files elsewhere can be changed, because Landlock does not
    cover these. Nothing can listen on a port, not even
    a test's own server, unless the network is allowed.
    """

    name = "sandlock"

    def __init__(self, library: Path, scratch: Path, path: str, home: Path) -> None:
        self._library = library
        self._scratch = scratch
        self._path = path
        self._programs = reach.programs(path, home)
        self._system = reach.system(reach.private_settings())

    async def run(
        self, command: Command, progress: Callable[[str], None] = lambda _: None
    ) -> CommandResult:
        async with reach.private_directory(self._scratch) as temporary:
            env = reach.environment(self._path, str(temporary), command.env)
            guarded = [_guarded(directory / ".git") for directory in command.writable]
            with process.StatusPipe() as status:
                policy = self._policy(command, temporary, status.write_fd)
                program = Path(__file__).with_name("sandlock_exec.py")
                argv = [sys.executable, "-I", "-S", str(program), policy, command.line]
                changed = False
                try:
                    result = await process.run(
                        argv, command, env, Path("/"), progress, pass_fds=(status.write_fd,)
                    )
                finally:
                    for git, state in zip(command.writable, guarded, strict=True):
                        changed |= _put_back(git / ".git", state)
                if not status.said():
                    raise _not_confined(result)
                return replace(result, output=result.output + _PUT_BACK) if changed else result

    def _policy(self, command: Command, temporary: Path, status_fd: int) -> str:
        devices = [f"/dev/{name}" for name in _DEVICES if os.path.exists(f"/dev/{name}")]
        readable = [
            *self._system,
            *self._programs,
            *reach.repositories(command),
            *(path for path in command.readable if path.exists()),
            Path("/proc"),
        ]
        if command.network:
            readable.append(Path("/etc/resolv.conf").resolve())
        settings = [
            ("fs_read", [*map(str, readable), *devices]),
            ("fs_write", [*map(str, (*command.writable, temporary)), *devices]),
            ("cwd", [str(command.cwd)]),
            ("net_allow", ["*:*"] if command.network else []),
            ("net_allow_bind", ["*"] if command.network else []),
        ]
        return json.dumps(
            {
                "library": str(self._library),
                "parent": os.getpid(),
                "shell": shutil.which("bash") or "/bin/sh",
                "status_fd": status_fd,
                "settings": settings,
            }
        )


def _not_confined(result: CommandResult) -> AdapterError:
    why = result.output.strip().splitlines()[-1:] or ["it gave no reason"]
    return AdapterError(
        FailureKind.NO_SANDBOX,
        f"confining a command with sandlock: {why[0]}. The command was not run; "
        "`worktrain doctor` says which sandboxes work here.",
    )


def _guarded(git: Path) -> State | None:
    """What must be the same afterwards, because Landlock cannot protect one file in a writable
    directory; None when there is no repository to protect."""
    if git.is_symlink() or not git.exists():
        return None
    if git.is_file():
        return {git: _state(git)}
    places = [git / name for name in _GIT_DECIDES]
    files = [
        file
        for place in places
        for file in (place.iterdir() if _is_directory(place) else [place])
        if file.is_symlink() or file.is_file()
    ]
    return {file: _state(file) for file in files}


def _state(file: Path) -> tuple[int, bytes]:
    mode = file.lstat().st_mode
    if stat.S_ISLNK(mode):
        return mode, os.fsencode(os.readlink(file))
    with file.open("rb") as opened:
        return mode, opened.read(_FILE_BYTES_MAX)


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _put_back(git: Path, before: State | None) -> bool:
    """Restore what was guarded; answers whether anything had been changed."""
    if before is None or _guarded(git) == before:
        return False
    for place in [git] if git in before else [git / name for name in _GIT_DECIDES]:
        if _is_directory(place):
            reach.discard(place)
        elif os.path.lexists(place):
            place.unlink()
    if git not in before and not _is_directory(git):
        git.unlink(missing_ok=True)
    for file, (mode, content) in before.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        if stat.S_ISLNK(mode):
            file.symlink_to(os.fsdecode(content))
        else:
            file.write_bytes(content)
            file.chmod(stat.S_IMODE(mode))
    return True
