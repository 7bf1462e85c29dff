"""The git runner: what it answers when git is absent, slow, full or asked by several at once."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.adapters.conftest import Project, write
from worktrain.adapters.workspaces.git import At, Git, Ran, remote_failure
from worktrain.adapters.workspaces.repository import Repository
from worktrain.contracts.failure import AdapterError, FailureKind


def script(place: Path, body: str) -> str:
    program = place / "program"
    write(program, f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return str(program)


async def test_a_missing_git_is_named_with_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="install git") as caught:
        await Git("no-such-git").run(tmp_path, "status", doing="Looking")
    assert caught.value.kind is FailureKind.MISSING_PROGRAM


async def test_a_full_disk_is_told_apart_from_other_failures(tmp_path: Path) -> None:
    git = Git(script(tmp_path, "echo 'fatal: write error: No space left on device' >&2; exit 128"))
    with pytest.raises(AdapterError) as caught:
        await git.run(tmp_path, "add", doing="Staging")
    assert caught.value.kind is FailureKind.DISK_FULL


async def test_a_git_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    git = Git(script(tmp_path, f"echo $$ > {tmp_path}/pid; sleep 600 & wait"), timeout_s_max=0.5)
    with pytest.raises(AdapterError, match="still running") as caught:
        await git.run(tmp_path, "fetch", doing="Fetching")
    assert caught.value.kind is FailureKind.STALLED
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_a_child_that_keeps_the_pipes_open_does_not_keep_git_waiting(tmp_path: Path) -> None:
    git = Git(script(tmp_path, f"echo done; sleep 30 & echo $! > {tmp_path}/pid"), timeout_s_max=20)
    try:
        assert await git.run(tmp_path, "fetch", doing="Fetching") == "done\n"
    finally:
        os.kill(int((tmp_path / "pid").read_text()), 9)


async def test_git_cannot_ask_and_does_not_see_the_caller_s_repository(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "GIT_DIR": "/elsewhere", "SSH_ASKPASS": "/bin/window"}
    git = Git(script(tmp_path, "env"), environ=environ)
    seen = (await git.run(tmp_path, "status", doing="Looking")).splitlines()
    assert {"GIT_TERMINAL_PROMPT=0", "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0"} <= set(seen)
    assert not [line for line in seen if line.startswith(("GIT_DIR=", "SSH_ASKPASS="))]


def test_the_useful_line_is_chosen_and_credentials_are_taken_out() -> None:
    err = "hint: try\nwarning: x\nfatal: unable to access 'https://me:tok@host/r': no route\n"
    ran = Ran(128, b"", err)
    assert ran.why == "unable to access 'https://…@host/r': no route"


def test_files_that_git_lists_below_its_complaint_are_named() -> None:
    err = "error: Your changes to these files would be lost by merge:\n\ta.txt\n\tb.txt\nAborting\n"
    assert Ran(1, b"", err).why.endswith("by merge: a.txt, b.txt")


@pytest.mark.parametrize(
    ("err", "kind"),
    [
        ("fatal: Authentication failed for 'https://host/r'", FailureKind.AUTH),
        ("git@host: Permission denied (publickey).", FailureKind.AUTH),
        ("fatal: could not read Username: terminal prompts disabled", FailureKind.AUTH),
        ("ssh: Could not resolve hostname host", FailureKind.UNREACHABLE),
    ],
)
def test_a_refusing_remote_is_told_apart_from_an_absent_one(err: str, kind: FailureKind) -> None:
    assert remote_failure(Ran(128, b"", err)) is kind


async def test_an_answer_that_is_too_long_is_cut_and_says_so(tmp_path: Path) -> None:
    git = Git(script(tmp_path, "yes | head -c 300000"))
    ran = await git.attempt(tmp_path, "diff", doing="Comparing", out_bytes_max=1000)
    assert (len(ran.out), ran.cut, ran.code) == (1000, True, 0)


async def test_a_lock_lets_one_in_at_a_time_over_runners_and_frees_after_a_failure(
    tmp_path: Path,
) -> None:
    inside = 0

    async def enter(git: Git, fail: bool) -> None:
        nonlocal inside
        async with git.exclusive(tmp_path / "lock"):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            inside -= 1
            if fail:
                raise RuntimeError

    one, other = Git(), Git()
    ends = await asyncio.gather(
        *(enter(git, fail) for git in (one, other) for fail in (True, False)),
        return_exceptions=True,
    )
    assert [type(end) for end in ends if end] == [RuntimeError, RuntimeError]


async def test_checkouts_are_read_from_the_repository_s_side(project: Project) -> None:
    worktree = await project.open()
    main, ours = await (await Repository.find(project.runner, str(project.repo))).checkouts()
    assert (main.root, main.branch, main.main, main.mark) == (project.repo, "main", True, None)
    assert (str(ours.root), ours.branch, ours.mark) == (worktree.root, "work", "worktrain coding-1")


async def test_an_explicit_git_directory_is_not_redirected_by_a_dot_git_file(
    project: Project,
) -> None:
    other = Project(project.place / "other")
    other.add("Other", z_txt="z\n")
    worktree = await project.open()
    (Path(worktree.root) / ".git").write_text(f"gitdir: {other.repo}/.git\n")
    found = await Repository.find(project.runner, str(project.repo))
    ours = (await found.checkouts())[1]
    at = At(ours.git_dir, ours.root)
    listed = await project.runner.run(at, "ls-files", doing="Listing")
    assert listed.split() == ["a.txt", "src/b.txt"]
