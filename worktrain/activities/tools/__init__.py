"""What is done for a tool call of an agent."""

import asyncio
import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from worktrain.activities.tools import files, search
from worktrain.activities.tools.bash import kept_name, run_bash
from worktrain.activities.tools.files import Refused
from worktrain.adapters.shells import Shell
from worktrain.contracts.record import ToolOutput
from worktrain.contracts.tool import (
    ARGUMENTS,
    DECIDED_BY_ENGINE,
    Arguments,
    Bash,
    Edit,
    Glob,
    Grep,
    Read,
    Write,
)


class Tools:
    """The hands of an agent. `readable` are paths outside the worktree that commands may read,
    the repository's own git directory among them."""

    def __init__(self, shell: Shell, network: bool, readable: tuple[Path, ...]) -> None:
        self._shell = shell
        self._network = network
        self._readable = readable

    async def run(
        self,
        name: str,
        arguments: Mapping[str, Any],
        root: Path,
        outputs: Path,
        call: str,
        timeout_s: int,
        progress: Callable[[str], None],
    ) -> ToolOutput:
        """Do what a tool call asks for; whatever is wrong with it is told to the model.

        `outputs` is a directory of the session, outside the worktree, that keeps what commands
        print. Raises `AdapterError` only for what the model cannot mend: no_sandbox, disk_full.
        """
        schema = ARGUMENTS.get(name)
        if schema is None or name in DECIDED_BY_ENGINE:
            known = ", ".join(sorted(ARGUMENTS.keys() - DECIDED_BY_ENGINE))
            return ToolOutput(content=f"There is no tool {name!r}; there are {known}.", ok=False)
        broken = [key for key, value in arguments.items() if _broken(value)]
        if broken:
            said = f"{name} was not run: {', '.join(broken)} holds half of a surrogate pair."
            return ToolOutput(content=said, ok=False)
        try:
            parsed = schema.model_validate(dict(arguments))
        except ValidationError as error:
            return ToolOutput(content=_problems(name, schema, error), ok=False)
        searching = search.Searching(self._shell, root, self._readable, timeout_s, progress)
        try:
            match parsed:
                case Bash():
                    return await run_bash(
                        self._shell,
                        parsed,
                        root,
                        outputs / kept_name(call),
                        timeout_s,
                        self._readable,
                        self._network,
                        progress,
                    )
                case Read():
                    return await asyncio.to_thread(files.read, parsed, root, outputs)
                case Write():
                    return await asyncio.to_thread(files.write, parsed, root)
                case Edit():
                    return await asyncio.to_thread(files.edit, parsed, root)
                case Glob():
                    return await search.glob(parsed, searching)
                case Grep():
                    return await search.grep(parsed, searching)
        except Refused as refusal:
            return ToolOutput(content=str(refusal), ok=False)
        except OSError as error:
            said = f"{name} could not use {error.filename or 'its files'}: {error.strerror}."
            return ToolOutput(content=said, ok=False)
        raise AssertionError(f"the tool {name} has arguments, but nothing that does it")


def _broken(value: object) -> bool:
    """Whether a text has no UTF-8: JSON can spell what no file or program can take."""
    return isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value)


def _problems(name: str, schema: type[Arguments], error: ValidationError) -> str:
    """One line for each argument that is wrong."""
    known = [field.alias or key for key, field in schema.model_fields.items()]
    lines = [f"{name} was not run, its arguments are wrong:"]
    for problem in error.errors(include_url=False, include_input=False):
        argument = ".".join(str(part) for part in problem["loc"]) or "arguments"
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(argument, known, n=1, cutoff=0.0)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}."
            lines.append(f"{argument}: there is no such argument; {hint}")
        else:
            lines.append(f"{argument}: {problem['msg']}.")
    return "\n".join(lines)
