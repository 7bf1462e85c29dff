"""A sandbox is chosen because a probe inside it held, never because it is installed."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from worktrain.adapters.shells import Command
from worktrain.adapters.shells.choose import available, choose
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import SandboxRules

PRETENDER = """#!/bin/bash
# Says all that bwrap says, and confines nothing.
if [ "$1" = --version ]; then echo bubblewrap 9.9.9; exit; fi
while [ "$1" != -- ]; do
  case "$1" in
    --json-status-fd) fd=$2; shift;;
    --chdir) cd "$2"; shift;;
    --setenv) export "$2=$3"; shift 2;;
  esac
  shift
done
shift
"$@"
code=$?
echo "{ \\"child-pid\\": $$ }{ \\"exit-code\\": $code }" >&$fd
exit $code
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory on PATH: the system's programs but bwrap."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("bash", "cat", "sh", "chmod", "rm"):
        (folder / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bwrap is not on PATH")
async def test_bubblewrap_is_taken_first_and_says_what_it_proved(tmp_path: Path) -> None:
    shell, said = await choose(SandboxRules(), tmp_path)
    assert shell.name == "bubblewrap"
    assert said.startswith("bubblewrap 0.")
    assert said.endswith(": write, deny, secret, network proven")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("programs")
async def test_without_bubblewrap_sandlock_is_taken(tmp_path: Path) -> None:
    shell, said = await choose(SandboxRules(), tmp_path)
    assert shell.name == "sandlock"
    assert said.endswith(": write, deny, secret, network proven")


async def test_a_sandbox_that_only_pretends_is_not_taken(tmp_path: Path, programs: Path) -> None:
    (programs / "bwrap").write_text(PRETENDER)
    (programs / "bwrap").chmod(0o755)
    with pytest.raises(AdapterError) as raised:
        await choose(SandboxRules(kind="bubblewrap"), tmp_path / "scratch")
    assert raised.value.kind is FailureKind.NO_SANDBOX
    assert "these did not hold: deny, network, secret" in raised.value.said
    shell, _ = await choose(SandboxRules(), tmp_path / "scratch")
    assert shell.name == "sandlock"


@pytest.mark.usefixtures("programs")
async def test_a_sandbox_that_is_not_installed_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(AdapterError) as raised:
        await choose(SandboxRules(kind="bubblewrap"), tmp_path)
    assert raised.value.kind is FailureKind.MISSING_PROGRAM
    assert "install the package `bubblewrap`" in raised.value.said
    assert "sandbox: {kind: none}" in raised.value.said


@pytest.mark.usefixtures("programs")
async def test_no_sandbox_at_all_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "elsewhere")
    with pytest.raises(AdapterError) as raised:
        await choose(SandboxRules(), tmp_path)
    assert raised.value.kind is FailureKind.NO_SANDBOX
    assert "bwrap" in raised.value.said
    assert "pip install sandlock" in raised.value.said


async def test_no_confinement_has_to_be_written_down_and_is_said(tmp_path: Path) -> None:
    shell, said = await choose(SandboxRules(kind="none"), tmp_path)
    assert said == "none: commands are not confined, because .worktrain/config.yml says so"
    result = await shell.run(Command("echo $HOME", tmp_path, (), timeout_s=5))
    assert result.exit_code == 0
    assert result.output.strip() != os.environ["HOME"]


async def test_an_allowed_network_is_not_claimed_to_be_denied(tmp_path: Path) -> None:
    _, said = await choose(SandboxRules(kind="sandlock", network=True), tmp_path)
    assert said.endswith(": write, deny, secret proven (network allowed)")


async def test_the_doctor_hears_what_each_sandbox_proved() -> None:
    answers = await available()
    assert list(answers) == ["bubblewrap", "sandlock"]
    assert answers["sandlock"].startswith("proven ")
    assert not (Path.home() / ".worktrain-probe").exists()
