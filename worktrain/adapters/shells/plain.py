"""Commands without any confinement: only for an operator who wrote `sandbox: {kind: none}`."""

import shutil
from collections.abc import Callable
from pathlib import Path

from worktrain.adapters.shells import Command, CommandResult, process, reach


class PlainShell:
    """May do whatever this user may do; only the environment is scrubbed."""

    name = "none"

    def __init__(self, scratch: Path, path: str) -> None:
        self._scratch = scratch
        self._path = path

    async def run(
        self, command: Command, progress: Callable[[str], None] = lambda _: None
    ) -> CommandResult:
        async with reach.private_directory(self._scratch) as temporary:
            env = reach.environment(self._path, str(temporary), command.env)
            argv = [shutil.which("bash") or "/bin/sh", "-c", command.line]
            return await process.run(argv, command, env, command.cwd, progress)
