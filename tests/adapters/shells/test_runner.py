"""The runner that every shell shares, seen through the shell that adds nothing to it."""

import asyncio
import os
from pathlib import Path

import pytest

from worktrain.adapters.shells import Command
from worktrain.adapters.shells.plain import PlainShell
from worktrain.contracts.failure import AdapterError, FailureKind


@pytest.fixture
def shell(tmp_path: Path) -> PlainShell:
    return PlainShell(tmp_path / "scratch", os.defpath)


async def test_a_full_disk_is_told_as_such(shell: PlainShell, tmp_path: Path) -> None:
    full = Path("/dev/full")
    command = Command("echo x; sleep 60", tmp_path, (tmp_path,), timeout_s=90, output=full)
    async with asyncio.timeout(20):
        with pytest.raises(AdapterError) as raised:
            await shell.run(command)
    assert raised.value.kind is FailureKind.DISK_FULL


async def test_a_line_that_no_program_can_take_is_refused(
    shell: PlainShell, tmp_path: Path
) -> None:
    with pytest.raises(AdapterError) as raised:
        await shell.run(Command("echo \0", tmp_path, (tmp_path,), timeout_s=5))
    assert raised.value.kind is FailureKind.INVALID


async def test_a_directory_that_is_gone_is_told(shell: PlainShell, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="missing"):
        await shell.run(Command("true", tmp_path / "missing", (), timeout_s=5))


async def test_output_within_the_limit_is_whole(shell: PlainShell, tmp_path: Path) -> None:
    for size in (0, 1, 99, 100):
        command = Command(
            f"head -c {size} /dev/zero | tr '\\0' a",
            tmp_path,
            (),
            timeout_s=5,
            output_bytes_max=100,
        )
        assert (await shell.run(command)).output == "a" * size


async def test_bytes_that_are_not_text_are_replaced(shell: PlainShell, tmp_path: Path) -> None:
    result = await shell.run(Command(r"printf 'a\377b'", tmp_path, (), timeout_s=5))
    assert (result.output, result.output_bytes) == ("a\N{REPLACEMENT CHARACTER}b", 3)


async def test_no_descriptor_is_left_open(shell: PlainShell, tmp_path: Path) -> None:
    command = Command("echo x", tmp_path, (), timeout_s=5, output=tmp_path / "kept")
    await shell.run(command)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        await shell.run(command)
    assert len(os.listdir("/proc/self/fd")) <= before
