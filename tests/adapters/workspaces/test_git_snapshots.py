"""Snapshots in a real repository: what shapes them, what keeps them, and when they go."""

from pathlib import Path

from tests.adapters.conftest import Project, write
from worktrain.contracts.delivery import CloseWorktreeRequest, SnapshotRequest
from worktrain.contracts.workspace import CommitRef, Worktree


async def snapshot(project: Project, worktree: Worktree, key: str = "s1") -> CommitRef:
    return await project.workspaces.snapshot(SnapshotRequest(worktree=worktree, key=key))


def kept(project: Project) -> list[str]:
    listed = project.git("for-each-ref", "--format=%(refname)", "refs/worktrain/snapshots")
    return listed.splitlines()


async def test_the_agent_s_index_and_its_own_commits_do_not_shape_a_snapshot(
    project: Project,
) -> None:
    worktree = await project.open()
    root = Path(worktree.root)
    base = project.head("main")
    write(root / "mine.txt", "mine\n")
    project.git("add", "--all", at=root)
    project.git("commit", "--quiet", "--message", "The agent's own", at=root)
    write(root / "new.txt", "new\n")
    write(root / "staged.txt", "gone again\n")
    project.git("add", "staged.txt", at=root)
    (root / "staged.txt").unlink()
    own = project.head(at=root)
    status = project.git("status", "--porcelain", at=root)

    at = await snapshot(project, worktree)

    assert project.files(at.commit) == ["a.txt", "mine.txt", "new.txt", "src/b.txt"]
    assert project.head(f"{at.commit}^") == base
    assert project.head("work") == own
    assert project.git("status", "--porcelain", at=root) == status


async def test_a_snapshot_outlives_git_s_own_clearing_until_its_worktree_is_closed(
    project: Project,
) -> None:
    worktree = await project.open("run/coding-1")
    write(Path(worktree.root) / "new.txt", "new\n")
    at = await snapshot(project, worktree, "turn/7")
    other = await project.open("coding-2", "other")
    write(Path(other.root) / "new.txt", "other\n")
    await snapshot(project, other)
    (Path(worktree.root) / "new.txt").unlink()
    project.git("gc", "--quiet", "--prune=now")
    assert project.git("show", f"{at.commit}:new.txt") == "new"
    assert len(kept(project)) == 2

    closing = CloseWorktreeRequest(worktree=worktree, keep_branch=False)
    await project.workspaces.close(closing)
    assert kept(project) == ["refs/worktrain/snapshots/coding-2/s1"]
    await project.workspaces.close(closing)
    assert kept(project) == ["refs/worktrain/snapshots/coding-2/s1"]


async def test_what_later_sessions_snapped_goes_with_the_worktree_that_they_took_over(
    project: Project,
) -> None:
    worktree = await project.open()
    fix = await project.open("fix-1")
    await snapshot(project, worktree)
    await snapshot(project, fix)
    assert len(kept(project)) == 2
    await project.workspaces.close(CloseWorktreeRequest(worktree=fix, keep_branch=False))
    assert kept(project) == []


async def test_a_session_without_a_branch_is_snapped_too(project: Project) -> None:
    worktree = await project.open("review-1", branch=None)
    write(Path(worktree.root) / "a.txt", "uno\n")
    at = await snapshot(project, worktree)
    assert project.git("show", f"{at.commit}:a.txt") == "uno"
    assert project.head(at=Path(worktree.root)) == project.head("main")


async def test_a_rebase_that_the_agent_is_in_the_middle_of_is_left_to_it(
    project: Project,
) -> None:
    worktree = await project.open()
    root = Path(worktree.root)
    write(root / "a.txt", "uno\n")
    project.git("config", "user.name", "Agent", at=root)
    project.git("commit", "--quiet", "--all", "--message", "Mine", at=root)
    onto = project.add("Theirs", a_txt="eins\n")
    ran = await project.runner.attempt(root, "rebase", onto, doing="rebasing as the agent")
    assert ran.code != 0
    await snapshot(project, worktree)
    assert project.git("rev-parse", "--verify", "REBASE_HEAD", at=root)


async def test_sessions_whose_names_begin_alike_keep_their_snapshots_apart(
    project: Project,
) -> None:
    parent = await project.open("p")
    child = await project.open("p/s1", branch="other")
    alike = await project.open("p--s1", branch="third")
    for worktree in (parent, child, alike):
        await snapshot(project, worktree)
        await snapshot(project, worktree, "s1/x")
    assert len(kept(project)) == 6
    await project.workspaces.close(CloseWorktreeRequest(worktree=parent, keep_branch=True))
    assert len(kept(project)) == 4
