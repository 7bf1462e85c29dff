"""What of the user's home a command's PATH opens, and what it never opens."""

import os
from pathlib import Path

import pytest

from worktrain.adapters.shells import reach


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / "user").mkdir(parents=True)
    return tmp_path / "home" / "user"


def install(prefix: Path, program: str) -> Path:
    (prefix / "bin").mkdir(parents=True)
    (prefix / "lib").mkdir()
    (prefix / "bin" / program).touch()
    return prefix / "bin"


def test_a_virtual_environment_brings_its_base_interpreter(home: Path) -> None:
    base = install(home / ".pyenv/versions/3.11.7", "python3.11")
    venv = install(home / "project/.venv", "pip")
    (venv / "python").symlink_to(base / "python3.11")
    assert reach.programs(str(venv), home) == (
        home / ".pyenv/versions/3.11.7",
        home / "project/.venv",
    )


def test_every_step_of_a_chain_of_links_is_opened(home: Path) -> None:
    real = install(home / ".tools/python-3.11.9", "python")
    (home / ".tools/python-3.11").symlink_to(home / ".tools/python-3.11.9")
    venv = install(home / "venv", "pip")
    (venv / "python").symlink_to(home / ".tools/python-3.11/bin/python")
    opened = reach.programs(str(venv), home)
    assert home / ".tools/python-3.11" in opened
    assert real.parent in opened


def test_a_directory_of_programs_next_to_secrets_is_opened_alone(home: Path) -> None:
    for name in (".local", ".cargo"):
        install(home / name, "tool")
    path = os.pathsep.join(str(home / name / "bin") for name in (".local", ".cargo"))
    assert reach.programs(path, home) == (home / ".cargo/bin", home / ".local/bin")


def test_a_link_to_one_program_opens_no_neighbours(home: Path) -> None:
    (home / "stuff").mkdir()
    (home / "stuff" / "tool").touch()
    (home / "bin").mkdir()
    (home / "bin" / "tool").symlink_to(home / "stuff" / "tool")
    assert reach.programs(str(home / "bin"), home) == (home / "bin", home / "stuff/tool")


@pytest.mark.parametrize("name", ["", ".", ".ssh", ".aws/bin", ".config/tool/bin", "../"])
def test_neither_the_home_nor_its_secrets_are_ever_opened(home: Path, name: str) -> None:
    place = home / name
    place.mkdir(parents=True, exist_ok=True)
    (home / "lib").mkdir()
    assert reach.programs(str(place), home) == ()


def test_a_link_into_the_secrets_of_the_home_opens_nothing(home: Path) -> None:
    (home / ".ssh").mkdir()
    (home / ".ssh" / "id").touch()
    (home / "bin").mkdir()
    (home / "bin" / "innocent").symlink_to(home / ".ssh" / "id")
    assert reach.programs(str(home / "bin"), home) == (home / "bin",)


def test_relative_and_missing_directories_are_left_out(home: Path) -> None:
    assert reach.programs(f".:{home}/none::/usr/bin", home) == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can read what others cannot")
def test_private_settings_are_left_out_of_the_system(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    (etc / "sub").mkdir(parents=True)
    for name in ("open", "shadow", "sub/key", "sub/fine"):
        (etc / name).touch(0o644)
    (etc / "shadow").chmod(0o640)
    (etc / "sub/key").chmod(0o600)
    assert set(reach.private_settings(etc)) == {etc / "shadow", etc / "sub/key"}
    assert Path("/etc/shadow") in reach.private_settings()
    assert Path("/etc/shadow") not in reach.system(reach.private_settings())
    assert Path("/etc/passwd") in reach.system(reach.private_settings())
