"""Bash: one command line in the sandbox, its output bounded and kept."""

import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from worktrain.activities.tools.bounds import ends
from worktrain.activities.tools.files import Refused, inside
from worktrain.adapters.shells import Command, CommandResult, Shell
from worktrain.contracts.record import ToolOutput
from worktrain.contracts.tool import Bash

TIMEOUT_S = 120
INLINE_CHARACTERS = 10_000


async def run_bash(
    shell: Shell,
    arguments: Bash,
    root: Path,
    kept: Path,
    timeout_s: int,
    readable: tuple[Path, ...],
    network: bool,
    progress: Callable[[str], None],
) -> ToolOutput:
    """Run the command with the worktree writable; everything it prints goes to `kept`."""
    cwd = inside(root, arguments.cwd or ".")
    if not cwd.is_dir():
        raise Refused(f"cwd {arguments.cwd} is not a directory of the worktree.")
    if "\0" in arguments.command:
        raise Refused("The command holds a NUL byte, which no shell can run. Leave it out.")
    limit_s = min(arguments.timeout_s or TIMEOUT_S, timeout_s)
    command = Command(
        line=arguments.command,
        cwd=cwd,
        writable=(root,),
        readable=readable,
        network=network,
        timeout_s=limit_s,
        output=kept,
    )
    result = await shell.run(command, progress)
    return ToolOutput(content=_told(result, command), ok=result.exit_code == 0)


def kept_name(call: str) -> str:
    """A file name for the output of this call, whatever characters its id has."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,80}", call):
        return f"{call}.txt"
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", call)[:60]
    return f"{safe}-{sha256(call.encode('utf-8', 'replace')).hexdigest()[:12]}.txt"


def _told(result: CommandResult, command: Command) -> str:
    # A NUL cannot be stored as text by every database.
    text = result.output.replace("\0", "\N{SYMBOL FOR NULL}").rstrip("\n")
    head, tail, missing = ends(text, INLINE_CHARACTERS)
    parts = [head]
    if missing:
        dropped = max(0, result.output_bytes - command.output_bytes_max)
        more = f" and {dropped} bytes that were not kept" if dropped else ""
        parts += [f"[… {missing} characters left out{more}; Read {command.output} …]", tail]
    if result.timed_out:
        parts.append(
            f"[killed: still running after {command.timeout_s:.0f} s. Give timeout_s, or do less "
            "at once; nothing that it started is running now]"
        )
    elif result.exit_code:
        parts.append(f"[exit code {result.exit_code}]")
    elif not text:
        parts = ["[no output]"]
    return "\n".join(part for part in parts if part)
