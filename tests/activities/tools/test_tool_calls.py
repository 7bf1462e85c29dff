"""What a call answers when it names no tool, or the wrong arguments."""

from pathlib import Path

import pytest

from worktrain.activities.tools import Tools
from worktrain.adapters.shells import CommandResult
from worktrain.adapters.shells.scripted import ScriptedShell
from worktrain.contracts.record import ToolOutput

KILLED = CommandResult(exit_code=None, output="half\n", output_bytes=5, seconds=7.0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    return tmp_path / "tree"


async def call(
    root: Path, name: str, arguments: dict[str, object], shell: ScriptedShell | None = None
) -> ToolOutput:
    tools = Tools(shell or ScriptedShell([]), network=True, readable=(root.parent / "repo",))
    outputs = root.parent / "outputs"
    return await tools.run(name, arguments, root, outputs, "../call/1", 60, lambda _: None)


@pytest.mark.parametrize("name", ["Delete", "complete_step", "report_issue"])
async def test_an_unknown_tool_is_told_which_there_are(root: Path, name: str) -> None:
    output = await call(root, name, {})
    assert not output.ok
    assert output.content.endswith("there are Bash, Edit, Glob, Grep, Read, Write.")


async def test_every_wrong_argument_is_named_in_a_line(root: Path) -> None:
    output = await call(root, "Read", {"file_path": "a", "limit": 5000})
    assert not output.ok
    assert output.content.splitlines() == [
        "Read was not run, its arguments are wrong:",
        "filePath: Field required.",
        "limit: Input should be less than or equal to 400.",
        "file_path: there is no such argument; did you mean filePath?",
    ]


async def test_an_alias_is_offered_by_the_name_that_the_model_knows(root: Path) -> None:
    output = await call(root, "Grep", {"pattern": "x", "i": True})
    assert "did you mean -i?" in output.content


async def test_a_command_gets_its_grants_and_a_file_for_its_output(root: Path) -> None:
    shell = ScriptedShell([("make", "built")])
    (root / "sub").mkdir()
    output = await call(root, "Bash", {"command": "make", "cwd": "sub", "timeout_s": 900}, shell)
    assert output == ToolOutput(content="built", ok=True)
    command = shell.commands[0]
    assert (command.cwd, command.writable, command.network) == (root / "sub", (root,), True)
    assert command.readable == (root.parent / "repo",)
    assert command.timeout_s == 60
    assert command.output is not None
    assert command.output.parent == root.parent / "outputs"
    assert command.output.name.startswith("___call_1-")


async def test_a_command_that_ran_out_of_time_says_so(root: Path) -> None:
    output = await call(root, "Bash", {"command": "sleep 9"}, ScriptedShell([(".", KILLED)]))
    assert not output.ok
    assert output.content.startswith("half\n[killed: still running after 60 s.")


async def test_exit_codes_and_silence_are_told(root: Path) -> None:
    failed = CommandResult(exit_code=2, output="no rule\n", output_bytes=8, seconds=0.1)
    output = await call(root, "Bash", {"command": "make"}, ScriptedShell([(".", failed)]))
    assert output == ToolOutput(content="no rule\n[exit code 2]", ok=False)
    output = await call(root, "Bash", {"command": "true"}, ScriptedShell([(".", "")]))
    assert output == ToolOutput(content="[no output]", ok=True)


@pytest.mark.parametrize("cwd", ["..", "/etc", "missing", "file"])
async def test_a_command_runs_only_in_a_directory_of_the_worktree(root: Path, cwd: str) -> None:
    (root / "file").touch()
    output = await call(root, "Bash", {"command": "true", "cwd": cwd})
    assert not output.ok
    assert cwd in output.content


async def test_a_command_that_no_shell_can_run_is_refused(root: Path) -> None:
    assert "NUL" in (await call(root, "Bash", {"command": "echo \0"})).content
    assert "command" in (await call(root, "Bash", {"command": "echo \ud800"})).content
