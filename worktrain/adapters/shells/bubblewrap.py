"""Commands in namespaces of their own, through the bwrap program: the sandbox of first choice."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from worktrain.adapters.shells import Command, CommandResult, process, reach
from worktrain.contracts.failure import AdapterError, FailureKind

_CHILD = re.compile(r'"child-pid":\s*(\d+)')
_SET_UP = '"exit-code"'
_FIRST = '"$0" -c "$1"; exit $?'
"""The first process inside waits for the command. bwrap's own would be left behind for the
host's first process to collect, and everything inside would end a moment after bwrap."""


class BubblewrapShell:
    """Sees the system, what `PATH` needs and what the command was granted, and nothing else:
    every other path, process and network of the host does not exist for it."""

    name = "bubblewrap"

    def __init__(self, program: str, scratch: Path, path: str, home: Path) -> None:
        self._program = program
        self._scratch = scratch
        self._path = path
        self._private = reach.private_settings()
        self._programs = reach.programs(path, home)

    async def run(
        self, command: Command, progress: Callable[[str], None] = lambda _: None
    ) -> CommandResult:
        async with reach.private_directory(self._scratch) as temporary:
            with process.StatusPipe() as status:
                argv = self._argv(command, temporary, status.write_fd)
                result = await process.run(
                    argv,
                    command,
                    {},
                    Path("/"),
                    progress,
                    pass_fds=(status.write_fd,),
                    group=lambda: _first_pid(status.said()),
                )
                return _confined(result, status.said())

    def _argv(self, command: Command, temporary: Path, status_fd: int) -> list[str]:
        env = reach.environment(self._path, "/tmp", command.env)  # noqa: S108
        argv = [self._program, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
        argv += ["--share-net"] if command.network else []
        # As root it would keep every capability, and could undo the mounts below.
        argv += ["--cap-drop", "ALL", "--json-status-fd", str(status_fd)]
        for name, value in env.items():
            argv += ["--setenv", name, value]
        argv += _binds("--ro-bind", reach.system(()))
        argv += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run"]
        for path in self._private:
            argv += (
                ["--tmpfs", str(path)] if path.is_dir() else ["--ro-bind", os.devnull, str(path)]
            )
        # On disk, because what is written to a tmpfs is the host's memory.
        argv += ["--bind", str(temporary), "/tmp", "--symlink", "../tmp", "/var/tmp"]  # noqa: S108
        argv += _binds("--ro-bind", (*self._programs, *reach.repositories(command)))
        argv += _binds("--ro-bind", command.readable)
        if command.network:
            argv += _binds("--ro-bind", _name_service())
        argv += _binds("--bind", command.writable)
        # A replaced .git would decide what git runs, outside, at the next commit.
        git = (directory / ".git" for directory in command.writable)
        argv += _binds("--ro-bind", tuple(path for path in git if not path.is_symlink()))
        argv += ["--remount-ro", "/", "--chdir", str(command.cwd), "--as-pid-1", "--"]
        return [*argv, "/bin/sh", "-c", _FIRST, shutil.which("bash") or "/bin/sh", command.line]


def _binds(flag: str, paths: tuple[Path, ...]) -> list[str]:
    return [word for path in paths if path.exists() for word in (flag, str(path), str(path))]


def _name_service() -> tuple[Path, ...]:
    """/etc/resolv.conf is often a link into /run, which is empty inside."""
    resolved = Path("/etc/resolv.conf").resolve()
    return () if reach.is_below(resolved, reach.SYSTEM) else (resolved,)


def _first_pid(said: str) -> int | None:
    """The first process inside; everything inside ends with it. bwrap alone can say this."""
    found = _CHILD.search(said)
    return int(found[1]) if found else None


def _confined(result: CommandResult, said: str) -> CommandResult:
    """The result, if the sandbox was ever in force: bwrap reports the command's exit code only
    after it has set everything up, and the command cannot reach that report."""
    killed = result.timed_out or (result.exit_code or 0) > 128
    if _SET_UP in said or (killed and _first_pid(said) is not None):
        return result
    why = result.output.strip().splitlines()[-1:] or ["it gave no reason"]
    raise AdapterError(
        FailureKind.NO_SANDBOX,
        f"confining a command with bubblewrap: {why[0]}. The command was not run; "
        "`worktrain doctor` says which sandboxes work here.",
    )
