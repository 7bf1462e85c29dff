"""What an agent may leave in its worktree: nothing of it runs, redirects us or reaches outside."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.adapters.conftest import Project, write
from worktrain.contracts.delivery import (
    CloseWorktreeRequest,
    Committed,
    NothingChanged,
    Rebased,
    RebaseRequest,
)
from worktrain.contracts.workspace import Worktree


def trap(project: Project, name: str) -> tuple[str, Path]:
    """A program, and the file that it leaves behind when somebody runs it."""
    fired = project.place / f"{name}-fired"
    program = project.place / name
    write(program, f"#!/bin/sh\ntouch {fired}\nexit 1\n")
    program.chmod(0o755)
    return str(program), fired


async def all_acts(project: Project, worktree: Worktree) -> Committed:
    """Every act that touches a session's worktree, from its next opening to its end."""
    assert (await project.open()).root == worktree.root
    reply = await project.commit(worktree)
    assert isinstance(reply, Committed)
    onto = project.add("Base goes on", base_txt="base\n")
    at = await project.workspaces.tree(str(project.repo), onto)
    rebased = await project.workspaces.rebase(RebaseRequest(worktree=worktree, onto=at))
    assert isinstance(rebased, Rebased)
    write(Path(worktree.root) / "left.txt", "left\n")
    await project.workspaces.diff(str(project.repo), onto, rebased.at.commit)
    closing = CloseWorktreeRequest(worktree=worktree, keep_branch=True)
    assert (await project.workspaces.close(closing)).saved
    assert not Path(worktree.root).exists()
    return reply


async def test_a_dot_git_that_is_a_repository_with_a_trap_is_not_asked(project: Project) -> None:
    program, fired = trap(project, "monitor")
    worktree = await project.open()
    root = Path(worktree.root)
    (root / ".git").unlink()
    project.git("init", "--quiet", at=root)
    project.git("config", "core.fsmonitor", program, at=root)
    write(root / ".git" / "hooks" / "pre-commit", f"#!/bin/sh\ntouch {fired}\n")
    (root / ".git" / "hooks" / "pre-commit").chmod(0o755)
    write(root / "a.txt", "uno\n")
    reply = await all_acts(project, worktree)
    assert not fired.exists()
    assert reply.files == ("a.txt",)


async def test_the_trap_of_these_tests_does_spring_on_a_git_that_looks_around(
    project: Project,
) -> None:
    program, fired = trap(project, "monitor")
    worktree = await project.open()
    root = Path(worktree.root)
    (root / ".git").unlink()
    project.git("init", "--quiet", at=root)
    project.git("config", "core.fsmonitor", program, at=root)
    project.git("status", at=root)
    assert fired.exists()


async def test_a_dot_git_file_that_points_at_another_repository_is_not_followed(
    project: Project,
) -> None:
    program, fired = trap(project, "monitor")
    other = Project(project.place / "other")
    head = other.add("Other", z_txt="z\n")
    other.git("config", "core.fsmonitor", program)
    worktree = await project.open()
    root = Path(worktree.root)
    (root / ".git").write_text(f"gitdir: {other.repo}/.git\n")
    write(root / "a.txt", "uno\n")
    await all_acts(project, worktree)
    assert not fired.exists()
    assert other.head() == head
    assert project.git("show", "work:a.txt") == "uno"


async def test_planted_hooks_do_not_run(project: Project) -> None:
    program, fired = trap(project, "hook")
    worktree = await project.open()
    hooks = project.repo / ".git" / "hooks"
    for name in (
        "applypatch-msg",
        "commit-msg",
        "post-checkout",
        "post-commit",
        "post-index-change",
        "post-merge",
        "post-rewrite",
        "pre-commit",
        "pre-rebase",
        "prepare-commit-msg",
        "reference-transaction",
    ):
        (hooks / name).symlink_to(program)
    write(Path(worktree.root) / "a.txt", "uno\n")
    await all_acts(project, worktree)
    assert not fired.exists()
    subprocess.run(["git", "tag", "x"], cwd=project.repo, env=project.environ, check=False)
    assert fired.exists(), "the trap is set"


async def test_an_embedded_repository_is_committed_as_plain_files_and_never_run(
    project: Project,
) -> None:
    program, fired = trap(project, "monitor")
    worktree = await project.open()
    root = Path(worktree.root)
    for inner in ("nested", "nested/deeper", "no-commits"):
        (root / inner).mkdir()
        project.git("init", "--quiet", at=root / inner)
        project.git("config", "core.fsmonitor", program, at=root / inner)
        write(root / inner / "file.txt", f"{inner}\n")
    write(root / "nested" / ".gitignore", "*.log\n")
    write(root / "nested" / "x.log", "noise")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.fsmonitor=false")
    project.git(*identity, "add", "file.txt", at=root / "nested")
    project.git(*identity, "commit", "--quiet", "-m", "x", at=root / "nested")
    reply = await all_acts(project, worktree)
    assert not fired.exists()
    assert set(reply.files) == {
        "nested/.gitignore",
        "nested/deeper/file.txt",
        "nested/file.txt",
        "no-commits/file.txt",
    }
    assert "160000" not in project.git("ls-tree", "-r", reply.at.commit)
    assert project.git("show", f"{reply.at.commit}:nested/deeper/file.txt") == "nested/deeper"


async def test_a_repository_around_tracked_files_changes_nothing(project: Project) -> None:
    program, fired = trap(project, "monitor")
    worktree = await project.open()
    inner = Path(worktree.root) / "src"
    project.git("init", "--quiet", at=inner)
    project.git("config", "core.fsmonitor", program, at=inner)
    assert isinstance(await project.commit(worktree), NothingChanged)
    write(inner / "b.txt", "due\n")
    write(inner / "c.txt", "tre\n")
    reply = await all_acts(project, worktree)
    assert set(reply.files) == {"src/b.txt", "src/c.txt"}
    assert not fired.exists()


async def test_a_gitlink_in_the_agent_s_own_index_and_commit_is_not_taken_over(
    project: Project,
) -> None:
    worktree = await project.open()
    root = Path(worktree.root)
    (root / "nested").mkdir()
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    project.git("init", "--quiet", at=root / "nested")
    project.git(*identity, "commit", "--quiet", "--allow-empty", "-m", "x", at=root / "nested")
    write(root / "nested" / "file.txt", "inner\n")
    project.git("add", "--all", at=root)
    project.git(*identity, "commit", "--quiet", "-m", "With a gitlink", at=root)
    assert "160000" in project.git("ls-tree", "-r", "work")
    reply = await project.commit(worktree)
    assert isinstance(reply, Committed)
    assert reply.files == ("nested/file.txt",)
    assert "160000" not in project.git("ls-tree", "-r", "work")


async def test_a_submodule_of_the_project_keeps_its_commit_whatever_stands_in_its_folder(
    project: Project,
) -> None:
    link = project.head()
    project.git("update-index", "--add", "--cacheinfo", f"160000,{link},module")
    project.git("commit", "--quiet", "--message", "A submodule")
    worktree = await project.open()
    write(Path(worktree.root) / "module" / "file.txt", "planted\n")
    assert isinstance(await project.commit(worktree), NothingChanged)
    module = Path(worktree.root) / "module"
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    project.git("init", "--quiet", at=module)
    project.git(*identity, "commit", "--quiet", "--allow-empty", "-m", "Other", at=module)
    assert isinstance(await project.commit(worktree), NothingChanged)
    shutil.rmtree(module)
    reply = await project.commit(worktree)
    assert isinstance(reply, Committed)
    assert reply.files == ("module",)
    assert "module" not in project.files("work")


async def test_marks_in_the_agent_s_index_do_not_hide_changes_or_add_ignored_files(
    project: Project,
) -> None:
    project.add("Ignore", _gitignore="secret.env\n")
    worktree = await project.open()
    root = Path(worktree.root)
    project.git("update-index", "--assume-unchanged", "a.txt", at=root)
    write(root / "a.txt", "hidden change\n")
    write(root / "secret.env", "PASSWORD=1")
    project.git("add", "--force", "secret.env", at=root)
    reply = await project.commit(worktree)
    assert isinstance(reply, Committed)
    assert reply.files == ("a.txt",)


async def test_linked_folders_are_committed_as_links_and_survive_outside(project: Project) -> None:
    outside = project.place / "outside"
    write(outside / "b.txt", "outside\n")
    worktree = await project.open()
    root = Path(worktree.root)
    (root / "src" / "b.txt").unlink()
    (root / "src").rmdir()
    (root / "src").symlink_to(outside)
    (root / "out").symlink_to(outside)
    reply = await all_acts(project, worktree)
    assert project.files(reply.at.commit) == ["a.txt", "out", "src"]
    assert project.git("show", f"{reply.at.commit}:src") == str(outside)
    assert (outside / "b.txt").read_text() == "outside\n"


async def test_attributes_of_the_agent_name_no_program_of_its_own(project: Project) -> None:
    program, fired = trap(project, "filter")
    worktree = await project.open()
    root = Path(worktree.root)
    write(root / ".gitattributes", "*.txt filter=evil diff=evil merge=evil\n")
    write(root / ".gitconfig", f'[filter "evil"]\nclean = {program}\nsmudge = {program}\n')
    write(root / ".gitmodules", f'[submodule "m"]\npath = m\nurl = .\nupdate = !{program}\n')
    write(root / "a.txt", "uno\n")
    await all_acts(project, worktree)
    assert not fired.exists()


async def test_trees_without_permissions_and_very_deep_ones_are_removed(project: Project) -> None:
    root = project.place / "checkout"
    await project.workspaces.checkout(str(project.repo), "main", root)
    write(root / "closed" / "inner" / "x.txt", "x")
    (root / "closed" / "inner").chmod(0)
    (root / "closed").chmod(0)
    folder = os.open(root, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    await project.workspaces.discard(str(project.repo), root)
    assert not root.exists()


@pytest.mark.parametrize("name", ["-rf", "--exec=x", " spaced ", "a\nb.txt", ":(top)x", "*", '"q"'])
async def test_strange_names_are_names(project: Project, name: str) -> None:
    worktree = await project.open()
    write(Path(worktree.root) / name, "x")
    reply = await project.commit(worktree)
    assert isinstance(reply, Committed)
    assert reply.files == (name,)


async def test_a_name_that_is_not_utf_8_is_committed_and_shown_replaced(project: Project) -> None:
    worktree = await project.open()
    (Path(worktree.root) / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    reply = await project.commit(worktree)
    assert isinstance(reply, Committed)
    assert reply.files == ("caf\ufffd.txt",)
    assert reply.model_dump_json()
