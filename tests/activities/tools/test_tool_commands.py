"""Bash, Glob and Grep in the real sandboxes of this machine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from worktrain.activities.tools import Tools
from worktrain.adapters.shells import Shell
from worktrain.adapters.shells.bubblewrap import BubblewrapShell
from worktrain.adapters.shells.plain import PlainShell
from worktrain.adapters.shells.sandlock import SandlockShell, find_library
from worktrain.contracts.record import ToolOutput

BWRAP = shutil.which("bwrap")
RG = shutil.which("rg")
PATH = os.pathsep.join((str(Path(sys.executable).parent), "/usr/bin", "/bin"))


class Worktree:
    """A linked worktree of a repository, and the tools on it."""

    def __init__(self, base: Path, sandbox: str, path: str = PATH) -> None:
        self.base, self.root, self.outputs = base, base / "tree", base / "outputs"
        git: list[str | Path] = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org"]
        subprocess.run([*git, "init", "-q", base / "repo"], check=True)
        first = [*git, "-C", base / "repo", "commit", "-q", "--allow-empty", "-m", "first"]
        subprocess.run(first, check=True)
        subprocess.run([*git, "-C", base / "repo", "worktree", "add", "-q", self.root], check=True)
        scratch = base / "scratch"
        shell: Shell = PlainShell(scratch, path)
        if sandbox == "bubblewrap":
            shell = BubblewrapShell(str(BWRAP), scratch, path, Path.home())
        elif sandbox == "sandlock":
            shell = SandlockShell(find_library() or Path(), scratch, path, Path.home())
        self._tools = Tools(shell, network=False, readable=())

    def put(self, name: str, text: str = "", age_s: int = 0) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1_000_000_000 - age_s, 1_000_000_000 - age_s))

    async def __call__(self, tool: str, **arguments: object) -> ToolOutput:
        return await self._tools.run(
            tool, arguments, self.root, self.outputs, "call_1", 60, lambda _: None
        )


@pytest.fixture(
    params=[
        pytest.param(
            "bubblewrap",
            marks=pytest.mark.skipif(BWRAP is None, reason="bwrap is not on PATH"),
        ),
        "sandlock",
    ]
)
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Worktree:
    return Worktree(tmp_path, request.param)


@pytest.fixture(
    params=[
        pytest.param("rg", marks=pytest.mark.skipif(RG is None, reason="rg is not on PATH")),
        "git",
        "no checkout",
    ]
)
def searched(request: pytest.FixtureRequest, tmp_path: Path) -> Worktree:
    """The same searches with ripgrep, with git alone, and where there is no repository."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("git", "bash", "sh", *(["rg"] if request.param == "rg" else [])):
        (programs / name).symlink_to(str(shutil.which(name)))
    tree = Worktree(tmp_path, "none", str(programs))
    if request.param == "no checkout":
        (tree.root / ".git").unlink()
    return tree


async def test_long_output_shows_both_ends_and_can_be_read_on(tree: Worktree) -> None:
    output = await tree("Bash", command="seq 1 100000")
    assert output.ok
    assert output.content.startswith("1\n2\n3\n")
    assert output.content.endswith("99999\n100000")
    kept = tree.outputs / "call_1.txt"
    assert f"\n[… 578894 characters left out; Read {kept} …]\n" in output.content
    assert len(output.content) < 10_300
    rest = await tree("Read", filePath=str(kept), offset=50_000, limit=1)
    assert rest.content == "[partial: lines 50000-50000 of 100000]\n 50000\t50000"


async def test_what_was_printed_beyond_all_limits_is_counted(tree: Worktree) -> None:
    output = await tree("Bash", command="head -c 50000000 /dev/zero | tr '\\0' x")
    assert "3990000 characters left out and 46000000 bytes that were not kept" in output.content
    assert (tree.outputs / "call_1.txt").stat().st_size == 4_000_000


async def test_a_command_cannot_leave_the_worktree_but_can_work_in_it(tree: Worktree) -> None:
    output = await tree("Bash", command="echo x > made && git status -s")
    assert "?? made" in output.content
    output = await tree("Bash", command=f"git -C {tree.base}/repo checkout -b stolen")
    assert not output.ok
    await tree("Bash", command="echo x > ../outside", timeout_s=20)
    assert not (tree.base / "outside").exists()


async def test_a_time_limit_given_by_the_model_is_kept(tree: Worktree) -> None:
    output = await tree("Bash", command="echo begun; sleep 60", timeout_s=1)
    assert not output.ok
    assert output.content.startswith("begun\n")
    assert "[killed: still running after 1 s." in output.content


async def test_searches_work_in_the_sandbox(tree: Worktree) -> None:
    tree.put("a.py", "needle\n")
    (tree.root / "way-out").symlink_to(tree.base / "outputs")
    tree.outputs.mkdir()
    (tree.outputs / "x.py").write_text("needle\n")
    assert (await tree("Glob", pattern="*.py")).content == "a.py"
    found = await tree("Grep", pattern="need.e", output_mode="content")
    assert found.content == "a.py:1:needle"


async def test_files_are_listed_newest_first_without_ignored_ones(searched: Worktree) -> None:
    searched.put("old.py", age_s=100)
    searched.put("src/deep/new.py")
    searched.put("src/mid.pyi", age_s=50)
    searched.put("src/other.txt")
    output = await searched("Glob", pattern="*.{py,pyi}")
    assert output.content == "src/deep/new.py\nsrc/mid.pyi\nold.py"
    assert (await searched("Glob", pattern="src/*.pyi")).content == "src/mid.pyi"
    assert (await searched("Glob", pattern="**/deep/**")).content == "src/deep/new.py"
    assert (await searched("Glob", pattern="*.py", path="src")).content == "src/deep/new.py"
    assert (await searched("Glob", pattern="*.rs")).content == "No file matches *.rs."


async def test_git_says_what_is_ignored(tmp_path: Path) -> None:
    tree = Worktree(tmp_path, "none")
    tree.put(".gitignore", "build/\n")
    tree.put("build/a.py")
    tree.put("kept/ü.py")
    assert (await tree("Glob", pattern="*.py")).content == "kept/ü.py"


async def test_a_long_list_of_files_says_how_many_more_there_are(searched: Worktree) -> None:
    for number in range(130):
        searched.put(f"f{number:03}.txt", age_s=number)
    lines = (await searched("Glob", pattern="*.txt")).content.splitlines()
    assert lines[0] == "f000.txt"
    assert len(lines) == 101
    assert lines[-1] == "[partial: 30 more; narrow the pattern or the path]"


@pytest.mark.parametrize("pattern", ["../*", "/etc/*", "x" * 501, "{a,b}" * 10])
async def test_a_pattern_that_leads_out_or_explodes_is_refused(
    tmp_path: Path, pattern: str
) -> None:
    tree = Worktree(tmp_path, "none")
    assert not (await tree("Glob", pattern=pattern)).ok
    assert not (await tree("Glob", pattern="*", path="..")).ok
    assert not (await tree("Grep", pattern="x", path="/etc")).ok


async def test_every_output_mode_of_a_search(searched: Worktree) -> None:
    searched.put("a.py", "one\nTwo needle\nthree\nneedle\n")
    searched.put("sub/b.txt", "needle\n")
    found = await searched("Grep", pattern="needle")
    assert found == ToolOutput(content="a.py\nsub/b.txt", ok=True)
    found = await searched("Grep", pattern="needle", output_mode="count")
    assert found.content == "a.py:2\nsub/b.txt:1"
    found = await searched("Grep", pattern="two", output_mode="content", context=1, **{"-i": True})
    assert found.content == "a.py-1-one\na.py:2:Two needle\na.py-3-three"
    assert (await searched("Grep", pattern="needle", glob="*.txt")).content == "sub/b.txt"
    assert (await searched("Grep", pattern="needle", path="sub")).content == "sub/b.txt"
    assert (await searched("Grep", pattern="nowhere")).content == "No match for nowhere."
    assert (await searched("Grep", pattern="-n")).content == "No match for -n."
    assert (await searched("Grep", pattern=r"\bneedle$", path="sub")).content == "sub/b.txt"


async def test_a_search_that_finds_much_says_that_it_is_partial(searched: Worktree) -> None:
    searched.put("a", "needle\n" * 5000)
    found = await searched("Grep", pattern="needle", output_mode="content")
    assert len(found.content.splitlines()) == 251
    assert found.content.endswith("[partial: 4750 more lines; narrow the search]")
    searched.put("a", f"{'needle' * 3000}\n" * 400)
    found = await searched("Grep", pattern="needle", output_mode="content", head_limit=1000)
    assert len(found.content) < 16_100
    assert "[partial: " in found.content


async def test_a_pattern_that_cannot_be_understood_is_explained(searched: Worktree) -> None:
    found = await searched("Grep", pattern="(unclosed")
    assert not found.ok
    assert found.content.startswith("The search failed: ")


async def test_a_pattern_that_never_ends_is_stopped(searched: Worktree) -> None:
    searched.put("a", "a" * 5000 + "!\n")
    found = await searched("Grep", pattern="(a+)+(a+)+(a+)+$", output_mode="content")
    assert len(found.content) < 1000


async def test_nothing_of_a_hostile_repository_runs_during_a_search(tmp_path: Path) -> None:
    tree = Worktree(tmp_path, "none")
    tree.put("a.txt", "needle\n")
    program = tmp_path / "evil.sh"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    git = ["git", "-C", str(tmp_path / "repo"), "config"]
    subprocess.run([*git, "core.fsmonitor", str(program)], check=True)
    subprocess.run(["git", "-C", tree.root, "status"], check=True, capture_output=True)
    assert (tmp_path / "ran").exists()
    (tmp_path / "ran").unlink()
    assert (await tree("Glob", pattern="*.txt")).content == "a.txt"
    assert (await tree("Grep", pattern="needle")).content == "a.txt"
    assert not (tmp_path / "ran").exists()
