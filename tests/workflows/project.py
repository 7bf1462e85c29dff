"""A project that has tests: what they are and how they end is told by its own files."""

from collections.abc import Callable
from pathlib import Path

from worktrain.adapters.shells import Command, CommandResult
from worktrain.adapters.shells.scripted import ScriptedShell

TESTS = "tests.txt"
"""One test a line: `NAME: FILE has TEXT` passes where that is so, `NAME: skipped` is skipped."""
RUN = "run the tests"
"""The command that runs them; where there are none it only says that it is done."""


class ProjectShell:
    """Runs a checkout's tests, and answers everything else as if it had been done.

    `failing` names tests that fail whatever the files say: what is wrong is outside of them.
    """

    name = "scripted"

    def __init__(self) -> None:
        self.failing: Callable[[], tuple[str, ...]] = tuple
        self.runs = 0
        """How often the tests were run."""

    async def run(
        self, command: Command, progress: Callable[[str], None] = lambda _: None
    ) -> CommandResult:
        answers: list[tuple[str, CommandResult | str]] = [("", "done")]
        if command.line == RUN:
            self.runs += 1
            answers = [("", _tested(command.cwd, self.failing()))]
        return await ScriptedShell(answers).run(command, progress)


def _tested(root: Path, failing: tuple[str, ...]) -> CommandResult | str:
    """How the tests of a checkout end, as the Test Anything Protocol has it."""
    file = root / TESTS
    if not file.exists():
        return "done"
    tests = [line.split(": ", 1) for line in file.read_text().splitlines()]
    lines = [f"1..{len(tests)}"]
    for number, (name, wanted) in enumerate(tests, 1):
        ended = "ok" if name not in failing and _holds(root, wanted) else "not ok"
        lines.append(f"{ended} {number} - {name}{' # skip' if wanted == 'skipped' else ''}")
    output = "\n".join(lines)
    failed = any(line.startswith("not ok") for line in lines)
    return CommandResult(int(failed), output, len(output.encode()), 0.0)


def _holds(root: Path, wanted: str) -> bool:
    if wanted == "skipped":
        return True
    path, _, text = wanted.partition(" has ")
    return (root / path).exists() and text in (root / path).read_text()
