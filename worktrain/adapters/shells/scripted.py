"""The in-memory twin of a shell: answers by the look of the line, for tests."""

import re
from collections.abc import Callable, Sequence

from worktrain.adapters.shells import Command, CommandResult


class ScriptedShell:
    """Answers with the first result whose pattern is found in the line, and remembers what it
    was asked. A line without an answer is a LookupError: the test expected something else."""

    name = "scripted"

    def __init__(self, answers: Sequence[tuple[str, CommandResult | str]]) -> None:
        self._answers = tuple(answers)
        self.commands: list[Command] = []

    async def run(
        self, command: Command, progress: Callable[[str], None] = lambda _: None
    ) -> CommandResult:
        self.commands.append(command)
        for pattern, answer in self._answers:
            if re.search(pattern, command.line):
                result = answer if isinstance(answer, CommandResult) else _printed(answer)
                if command.output is not None:
                    command.output.parent.mkdir(parents=True, exist_ok=True)
                    command.output.write_text(result.output)
                return result
        raise LookupError(f"no answer is scripted for {command.line!r}")


def _printed(text: str) -> CommandResult:
    return CommandResult(exit_code=0, output=text, output_bytes=len(text.encode()), seconds=0.0)
