"""The scripted shell answers as it was told, and remembers what it was asked."""

from pathlib import Path

import pytest

from worktrain.adapters.shells import Command, CommandResult, Shell
from worktrain.adapters.shells.scripted import ScriptedShell

KILLED = CommandResult(exit_code=None, output="half", output_bytes=4, seconds=2.0)


async def test_the_first_pattern_found_in_the_line_answers(tmp_path: Path) -> None:
    shell = ScriptedShell([("pytest", KILLED), (".", "ok")])
    as_shell: Shell = shell
    kept = tmp_path / "kept"
    assert await as_shell.run(Command("pytest -q", tmp_path, (), 5, output=kept)) is KILLED
    assert kept.read_text() == "half"
    assert (await shell.run(Command("ls", tmp_path, (), 5))).output == "ok"
    assert [command.line for command in shell.commands] == ["pytest -q", "ls"]


async def test_a_line_that_nobody_expected_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="rm -rf"):
        await ScriptedShell([("^ls", "")]).run(Command("rm -rf", tmp_path, (), 5))
