"""Commits of others on a work branch: they are seen, never written over, and built upon."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.adapters.conftest import Project, write
from worktrain.adapters.workspaces import Workspaces
from worktrain.adapters.workspaces.in_memory import InMemoryRepository, InMemoryWorkspaces
from worktrain.contracts.delivery import (
    CloseWorktreeRequest,
    CommitReply,
    CommitRequest,
    Committed,
    Foreign,
    NothingChanged,
    Rebased,
    RebaseRequest,
)
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import CommitRef, Worktree, WorktreeRequest

BRANCH = "worktrain/fix-it"


class World:
    """One kind of workspaces, an agent that writes, and somebody else who commits."""

    def __init__(
        self,
        repo: str,
        trees: Path,
        workspaces: Workspaces,
        put: Callable[[str, str, str], None],
        held: Callable[[str, str], str | None],
        somebody: Callable[[str, str, str], str],
    ) -> None:
        self.repo = repo
        self.trees = trees
        self.workspaces = workspaces
        self.put = put
        self.held = held
        """What a file holds as of a commit."""
        self.somebody = somebody
        """Commits a file on a branch, in the usual way, and answers the commit."""

    async def open(self, session: str = "coding-1", branch: str = BRANCH) -> Worktree:
        base = await self.workspaces.base(self.repo, "main")
        request = WorktreeRequest(session=session, repo=self.repo, at=base.at.commit, branch=branch)
        return await self.workspaces.open(request, self.trees / session, "host")

    async def commit(self, worktree: Worktree, key: str, known: str | None) -> CommitReply:
        request = CommitRequest(worktree=worktree, key=key, subject="Change it", known=known)
        return await self.workspaces.commit(request)

    async def work(self, **files: str) -> tuple[Worktree, CommitRef]:
        """A session's worktree and its first commit."""
        worktree = await self.open()
        for name, content in files.items():
            self.put(worktree.root, name.replace("_", "."), content)
        reply = await self.commit(worktree, "p/coding-1", None)
        assert isinstance(reply, Committed)
        return worktree, reply.at

    async def rebase(self, worktree: Worktree, onto: str, branch: str = "") -> CommitRef:
        at = await self.workspaces.tree(self.repo, onto)
        reply = await self.workspaces.rebase(
            RebaseRequest(worktree=worktree, onto=at, branch=branch)
        )
        assert isinstance(reply, Rebased)
        return reply.at

    async def foreign(self, known: str | None) -> Foreign | None:
        return await self.workspaces.foreign(self.repo, BRANCH, known)


def in_memory(place: Path) -> World:
    repository = InMemoryRepository({"a.txt": "one\n", "b.txt": "two\n"})
    workspaces = InMemoryWorkspaces({"repo": repository})

    def put(root: str, path: str, content: str) -> None:
        workspaces.worktrees[root].files[path] = content

    def held(commit: str, path: str) -> str | None:
        return repository.commits[commit].files.get(path)

    def somebody(branch: str, path: str, content: str) -> str:
        return repository.advance(branch, {path: content}, "Somebody else's").commit

    return World("repo", place / "trees", workspaces, put, held, somebody)


def on_disk(place: Path) -> World:
    project = Project(place)
    write(project.repo / "b.txt", "two\n")
    project.add("First commit", a_txt="one\n")

    def put(root: str, path: str, content: str) -> None:
        write(Path(root) / path, content)

    def held(commit: str, path: str) -> str | None:
        shown = project.git("ls-tree", "--name-only", commit, path)
        return project.git("show", f"{commit}:{path}") + "\n" if shown else None

    def somebody(branch: str, path: str, content: str) -> str:
        return push(project, branch, path, content)

    return World(str(project.repo), place / "trees", project.workspaces, put, held, somebody)


def push(project: Project, branch: str, path: str, content: str) -> str:
    """Somebody's commit on a branch here, from a clone, as a push to a repository makes it."""
    clone = project.place / "clone"
    if not clone.exists():
        project.git("clone", "--quiet", str(project.repo), str(clone))
        project.git("config", "user.name", "Somebody", at=clone)
        project.git("config", "user.email", "somebody@example.invalid", at=clone)
    project.git("fetch", "--quiet", "origin", branch, at=clone)
    project.git("checkout", "--quiet", "--detach", "FETCH_HEAD", at=clone)
    write(clone / path, content)
    project.git("add", "--all", at=clone)
    project.git("commit", "--quiet", "--message", "Somebody else's", at=clone)
    made = project.head(at=clone)
    project.git("fetch", "--quiet", str(clone), made)
    project.git("update-ref", f"refs/heads/{branch}", made)
    return made


@pytest.fixture(params=[in_memory, on_disk], ids=["in memory", "on disk"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    make: Callable[[Path], World] = request.param
    return make(tmp_path)


# --- closing -----------------------------------------------------------------------------------


async def test_closing_a_slice_takes_the_joined_branch_along_unless_somebody_is_on_it(
    world: World,
) -> None:
    worktree, at = await world.work(a_txt="uno\n")
    joined = "worktrain/joined"
    await world.rebase(worktree, at.commit, joined)
    there = await world.open("coding-2", joined)
    for session in (worktree, there):
        closing = CloseWorktreeRequest(worktree=session, keep_branch=False, also=joined)
        assert (await world.workspaces.base(world.repo, joined)).at == at
        await world.workspaces.close(closing)
    with pytest.raises(AdapterError, match="no branch"):
        await world.workspaces.base(world.repo, joined)
    with pytest.raises(AdapterError, match="of its own"):
        await world.workspaces.close(
            CloseWorktreeRequest(worktree=worktree, keep_branch=False, also="main")
        )


# --- commit ------------------------------------------------------------------------------------


async def test_commits_of_somebody_else_stop_a_commit_and_are_told(world: World) -> None:
    worktree, at = await world.work(a_txt="uno\n")
    theirs = world.somebody(BRANCH, "b.txt", "theirs\n")
    world.put(worktree.root, "a.txt", "due\n")
    reply = await world.commit(worktree, "p/fix-1", at.commit)
    assert isinstance(reply, Foreign)
    assert reply.head.commit == theirs
    assert reply.by == ("Somebody <somebody@example.invalid>",)
    # And nothing was committed: the branch is where they left it.
    assert await world.foreign(at.commit) == reply


async def test_commits_of_our_own_stop_nothing(world: World) -> None:
    worktree, at = await world.work(a_txt="uno\n")
    world.put(worktree.root, "a.txt", "due\n")
    second = await world.commit(worktree, "p/fix-1", at.commit)
    assert isinstance(second, Committed)
    # The answer was lost: the attempt is repeated, and finds its commit beyond what is known.
    assert await world.commit(worktree, "p/fix-1", at.commit) == second
    # So does a later session that was told of the first commit alone.
    world.put(worktree.root, "a.txt", "tre\n")
    assert isinstance(await world.commit(worktree, "p/fix-2", at.commit), Committed)


async def test_a_branch_that_lost_what_we_left_is_told(world: World) -> None:
    worktree, at = await world.work(a_txt="uno\n")
    world.put(worktree.root, "a.txt", "due\n")
    second = await world.commit(worktree, "p/fix-1", at.commit)
    assert isinstance(second, Committed)
    third = await world.commit(worktree, "p/fix-2", second.at.commit)
    assert isinstance(third, NothingChanged)
    # Known is a commit that the branch does not hold.
    elsewhere = world.somebody("main", "b.txt", "moved\n")
    reply = await world.commit(worktree, "p/fix-3", elsewhere)
    assert isinstance(reply, Foreign)
    assert reply.head == second.at


async def test_work_is_put_on_top_of_commits_of_others_once_they_are_known(world: World) -> None:
    worktree, _ = await world.work(a_txt="uno\n")
    theirs = world.somebody(BRANCH, "b.txt", "theirs\n")
    world.put(worktree.root, "a.txt", "due\n")
    reply = await world.commit(worktree, "p/fix-1", theirs)
    assert isinstance(reply, Committed)
    assert reply.files == ("a.txt",)
    assert world.held(reply.at.commit, "b.txt") == "theirs\n"
    assert world.held(reply.at.commit, "a.txt") == "due\n"
    assert await world.commit(worktree, "p/fix-1", theirs) == reply
    assert await world.foreign(theirs) is None


async def test_work_that_clashes_with_commits_of_others_is_left_as_it_is(world: World) -> None:
    worktree, _ = await world.work(a_txt="uno\n")
    theirs = world.somebody(BRANCH, "a.txt", "theirs\n")
    world.put(worktree.root, "a.txt", "ours\n")
    with pytest.raises(AdapterError, match=r"both change a\.txt") as caught:
        await world.commit(worktree, "p/fix-1", theirs)
    assert caught.value.kind is FailureKind.CONFLICT
    assert await world.foreign(theirs) is None, "the branch is as they left it"


async def test_a_worktree_in_which_nothing_changed_follows_its_branch(world: World) -> None:
    worktree, _ = await world.work(a_txt="uno\n")
    theirs = world.somebody(BRANCH, "b.txt", "theirs\n")
    again = await world.open("fix-1")
    assert again.root == worktree.root
    world.put(again.root, "a.txt", "due\n")
    reply = await world.commit(again, "p/fix-1", theirs)
    assert isinstance(reply, Committed)
    assert (world.held(reply.at.commit, "b.txt"), reply.files) == ("theirs\n", ("a.txt",))


async def test_commits_of_others_are_rebased_with_ours(world: World) -> None:
    worktree, _ = await world.work(a_txt="uno\n")
    world.somebody(BRANCH, "b.txt", "theirs\n")
    onto = world.somebody("main", "c.txt", "base\n")
    at = await world.rebase(worktree, onto)
    assert [world.held(at.commit, f"{name}.txt") for name in "abc"] == [
        "uno\n",
        "theirs\n",
        "base\n",
    ]


# --- foreign -----------------------------------------------------------------------------------


async def test_a_branch_that_is_as_we_left_it_is_not_foreign(world: World) -> None:
    assert await world.foreign(None) is None
    _, at = await world.work(a_txt="uno\n")
    assert await world.foreign(at.commit) is None
    world.somebody(BRANCH, "b.txt", "theirs\n")
    assert await world.foreign(None) is None, "None asks nothing"


# --- rebase, and a branch of our own that goes with it -----------------------------------------


async def test_the_work_branch_is_made_at_a_slice_and_moved_forward_to_the_next(
    world: World,
) -> None:
    base = await world.workspaces.base(world.repo, "main")
    one, two = [await world.open(name, f"{BRANCH}-{name}") for name in ("one", "two")]
    world.put(one.root, "a.txt", "uno\n")
    world.put(two.root, "b.txt", "due\n")
    for worktree in (one, two):
        assert isinstance(await world.commit(worktree, f"p/{worktree.session}", None), Committed)
    first = await world.rebase(one, base.at.commit, BRANCH)
    for _ in range(2):
        second = await world.rebase(two, first.commit, BRANCH)
        assert await world.foreign(second.commit) is None
    assert world.held(second.commit, "a.txt") == "uno\n"
    # The branch stands at the second: to WorkTrain of the first, it has gone on by itself.
    work = await world.open("review-1")
    assert isinstance(await world.commit(work, "p/fix-1", second.commit), NothingChanged)
    assert await world.rebase(one, base.at.commit) == first


async def test_a_work_branch_that_somebody_moved_is_not_written_over(world: World) -> None:
    base = await world.workspaces.base(world.repo, "main")
    one, two = [await world.open(name, f"{BRANCH}-{name}") for name in ("one", "two")]
    world.put(one.root, "a.txt", "uno\n")
    world.put(two.root, "b.txt", "due\n")
    for worktree in (one, two):
        await world.commit(worktree, f"p/{worktree.session}", None)
    first = await world.rebase(one, base.at.commit, BRANCH)
    theirs = world.somebody(BRANCH, "c.txt", "theirs\n")
    with pytest.raises(AdapterError, match="does not build on") as caught:
        await world.rebase(two, first.commit, BRANCH)
    assert caught.value.kind is FailureKind.CONFLICT
    told = await world.foreign(first.commit)
    assert told is not None
    assert told.head.commit == theirs


async def test_a_work_branch_that_is_checked_out_or_not_ours_is_not_moved(world: World) -> None:
    work, _ = await world.work(a_txt="uno\n")
    base = await world.workspaces.base(world.repo, "main")
    one = await world.open("one", f"{BRANCH}-one")
    with pytest.raises(AdapterError, match="checked out in") as caught:
        await world.rebase(one, base.at.commit, BRANCH)
    assert caught.value.kind is FailureKind.MISCONFIGURED
    with pytest.raises(AdapterError, match="only branches of its own") as caught:
        await world.rebase(one, base.at.commit, "main")
    assert caught.value.kind is FailureKind.MISCONFIGURED
    assert await world.rebase(work, base.at.commit, BRANCH), "its own branch is no obstacle"


# --- git alone ---------------------------------------------------------------------------------


async def ours(project: Project, **files: str) -> CommitRef:
    worktree = await project.open(branch=BRANCH)
    for name, content in files.items():
        write(Path(worktree.root) / name.replace("_", "."), content)
    return await project.committed(worktree)


async def foreign(project: Project, known: CommitRef) -> Foreign | None:
    return await project.workspaces.foreign(str(project.repo), BRANCH, known.commit)


async def test_a_commit_of_ours_that_somebody_amended_is_foreign(project: Project) -> None:
    at = await ours(project, a_txt="uno\n")
    message = project.git("log", "-1", "--format=%B", at.commit)
    parent = project.head(f"{at.commit}^")
    amended = project.git("commit-tree", f"{at.commit}^{{tree}}", "-p", parent, "-m", f"{message}!")
    project.git("update-ref", f"refs/heads/{BRANCH}", amended)
    told = await foreign(project, at)
    assert told is not None
    assert told.head.commit == amended
    assert told.by == ("Olive Owner <olive@example.invalid>",)


async def test_a_branch_that_somebody_put_back_is_foreign_and_by_nobody(project: Project) -> None:
    at = await ours(project, a_txt="uno\n")
    project.git("update-ref", f"refs/heads/{BRANCH}", f"{at.commit}^")
    told = await foreign(project, at)
    assert told is not None
    assert told.by == ()


async def test_what_is_pushed_to_the_remote_alone_is_seen(project: Project) -> None:
    project.with_origin()
    at = await ours(project, a_txt="uno\n")
    assert await foreign(project, at) is None, "it was never pushed"
    project.git("push", "--quiet", "origin", BRANCH)
    assert await foreign(project, at) is None
    theirs = project.somebody_pushes(BRANCH, b_txt="theirs\n")
    told = await foreign(project, at)
    assert told is not None
    assert told.head.commit == theirs
    assert told.by == ("Somebody <somebody@example.invalid>",)
    assert project.head(BRANCH) == at.commit


async def test_a_copy_on_the_remote_that_we_went_on_from_is_not_foreign(project: Project) -> None:
    project.with_origin()
    await ours(project, a_txt="uno\n")
    project.git("push", "--quiet", "origin", BRANCH)
    worktree = await project.open(branch=BRANCH)
    write(Path(worktree.root) / "a.txt", "due\n")
    behind = await project.committed(worktree, "k2")
    assert await foreign(project, behind) is None
    onto = await project.workspaces.tree(
        str(project.repo), project.add("Base goes on", c_txt="base\n")
    )
    rebased = await project.workspaces.rebase(RebaseRequest(worktree=worktree, onto=onto))
    assert isinstance(rebased, Rebased)
    project.git("push", "--quiet", "--force", "origin", f"{behind.commit}:{BRANCH}")
    assert await foreign(project, rebased.at) is None, "the branch here was there itself"
    project.somebody_pushes(BRANCH, b_txt="theirs\n")
    assert await foreign(project, rebased.at) is not None


async def test_a_copy_that_is_behind_is_known_without_a_reflog(project: Project) -> None:
    project.with_origin()
    await ours(project, a_txt="uno\n")
    project.git("push", "--quiet", "origin", BRANCH)
    worktree = await project.open(branch=BRANCH)
    write(Path(worktree.root) / "a.txt", "due\n")
    at = await project.committed(worktree, "k2")
    project.git("reflog", "expire", "--expire=all", BRANCH)
    assert await foreign(project, at) is None


async def test_a_remote_that_cannot_be_reached_is_not_taken_for_a_quiet_one(
    project: Project,
) -> None:
    project.with_origin()
    at = await ours(project, a_txt="uno\n")
    project.origin.rename(project.place / "gone.git")
    with pytest.raises(AdapterError) as caught:
        await foreign(project, at)
    assert caught.value.kind is FailureKind.UNREACHABLE


async def test_a_commit_whose_end_was_cut_off_is_ours(project: Project) -> None:
    at = await ours(project, a_txt="uno\n")
    worktree = await project.open(branch=BRANCH)
    write(Path(worktree.root) / "a.txt", "due\n")
    start = project.head("refs/worktree/worktrain/start", at=Path(worktree.root))
    done = await project.committed(worktree, "k2")
    # As if the process had died between moving the branch and writing down that it had.
    project.git("update-ref", "refs/worktree/worktrain/start", start, at=Path(worktree.root))
    request = CommitRequest(worktree=worktree, key="k2", subject="Change it", known=at.commit)
    again = await project.workspaces.commit(request)
    assert isinstance(again, Committed)
    assert again.at == done
