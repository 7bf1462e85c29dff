"""The in-memory workspaces keep the promises of the protocol, side by side with the real ones."""

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
    Conflicted,
    NothingChanged,
    Rebased,
    RebaseRequest,
    SnapshotRequest,
)
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import Base, CommitRef, Worktree, WorktreeRequest


class World:
    """One kind of workspaces, an agent that writes, and somebody who moves the base."""

    def __init__(
        self,
        repo: str,
        trees: Path,
        workspaces: Workspaces,
        put: Callable[[str, str, str], None],
        advance: Callable[[str, str], object],
        subjects: Callable[[str], list[str]],
    ) -> None:
        self.repo = repo
        self.trees = trees
        self.workspaces = workspaces
        self.put = put
        self.advance = advance
        self.subjects = subjects
        """Of a commit and its ancestors, newest first."""

    async def open(self, session: str = "coding-1", branch: str = "work") -> Worktree:
        base = await self.base()
        request = WorktreeRequest(session=session, repo=self.repo, at=base.at.commit, branch=branch)
        return await self.workspaces.open(request, self.trees / session, "host")

    async def base(self) -> Base:
        return await self.workspaces.base(self.repo, "main")

    async def commit(self, worktree: Worktree, key: str = "k1") -> CommitReply:
        request = CommitRequest(worktree=worktree, key=key, subject="Change it")
        return await self.workspaces.commit(request)

    async def snapshot(self, worktree: Worktree, key: str = "s1") -> CommitRef:
        return await self.workspaces.snapshot(SnapshotRequest(worktree=worktree, key=key))


def in_memory(trees: Path) -> World:
    repository = InMemoryRepository({"a.txt": "one\n", "b.txt": "two\n"})
    workspaces = InMemoryWorkspaces({"repo": repository})

    def put(root: str, path: str, content: str) -> None:
        workspaces.worktrees[root].files[path] = content

    def advance(path: str, content: str) -> object:
        return repository.advance("main", {path: content}, "Base goes on")

    def subjects(commit: str) -> list[str]:
        messages = (repository.commits[name].message for name in repository.history(commit))
        return [message.partition("\n")[0] for message in messages]

    return World("repo", trees, workspaces, put, advance, subjects)


def on_disk(place: Path) -> World:
    project = Project(place)
    write(project.repo / "b.txt", "two\n")
    project.add("First commit", a_txt="one\n")

    def put(root: str, path: str, content: str) -> None:
        write(Path(root) / path, content)

    def advance(path: str, content: str) -> object:
        write(project.repo / path, content)
        return project.add("Base goes on")

    def subjects(commit: str) -> list[str]:
        return project.git("log", "--format=%s", commit).splitlines()

    return World(str(project.repo), place / "trees", project.workspaces, put, advance, subjects)


@pytest.fixture(params=[in_memory, on_disk], ids=["in memory", "on disk"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    make: Callable[[Path], World] = request.param
    return make(tmp_path)


async def test_work_is_committed_once_and_named(world: World) -> None:
    worktree = await world.open()
    assert isinstance(await world.commit(worktree), NothingChanged)
    world.put(worktree.root, "a.txt", "uno\n")
    first = await world.commit(worktree)
    assert isinstance(first, Committed)
    assert first.files == ("a.txt",)
    assert await world.commit(worktree) == first
    assert isinstance(await world.commit(worktree, "k2"), NothingChanged)
    assert await world.workspaces.tree(world.repo, first.at.commit) == first.at
    read = world.workspaces.read
    assert await read(world.repo, first.at.commit, "a.txt") == "uno\n"
    assert await read(world.repo, first.at.commit, "none.txt") is None
    base = await world.base()
    diff = await world.workspaces.diff(world.repo, base.at.commit, first.at.commit)
    assert "diff --git a/a.txt b/a.txt" in diff
    assert "-one\n+uno\n" in diff
    assert world.subjects(first.at.commit) == ["Change it", "First commit"]


async def test_files_are_listed_and_read_as_they_stand_on_a_commit(world: World) -> None:
    before = (await world.base()).at.commit
    world.advance("docs/one.md", "eins\n")
    world.advance("docs/deep/two.md", "zwei\n")
    world.advance("docs.md", "x" * 1_000_001)
    at = (await world.base()).at.commit
    files, texts = world.workspaces.files, world.workspaces.texts
    assert await files(world.repo, before) == {"a.txt": 4, "b.txt": 4}
    assert list(await files(world.repo, at)) == sorted(await files(world.repo, at))
    docs = {"docs/deep/two.md": 5, "docs/one.md": 5}
    assert await files(world.repo, at, ("docs", "no-such-folder", "a.txt")) == docs
    assert (await files(world.repo, at))["docs.md"] == 1_000_001
    read = await texts(world.repo, at, ("docs/one.md", "a.txt", "docs", "docs.md", "none"))
    assert read == {"docs/one.md": "eins\n", "a.txt": "one\n"}
    assert await texts(world.repo, at, ()) == {}
    for odd in (
        "",
        ".",
        "..",
        "../a.txt",
        "/etc/passwd",
        "docs/",
        "docs/../a.txt",
        "a\0",
        ":(top)",
    ):
        assert await texts(world.repo, at, (odd, "a.txt")) == {"a.txt": "one\n"}, odd
        assert await files(world.repo, at, (odd, "docs")) == docs, odd


async def test_a_snapshot_holds_the_files_and_moves_nothing(world: World) -> None:
    worktree = await world.open()
    base = (await world.base()).at
    assert await world.snapshot(worktree) == base
    world.put(worktree.root, "a.txt", "uno\n")
    assert await world.snapshot(worktree) == base, "the key finds the first attempt again"
    second = await world.snapshot(worktree, "s2")
    assert await world.workspaces.read(world.repo, second.commit, "a.txt") == "uno\n"
    assert await world.workspaces.read(world.repo, second.commit, "b.txt") == "two\n"
    assert await world.workspaces.tree(world.repo, second.commit) == second
    assert (await world.workspaces.base(world.repo, "work")).at == base
    world.put(worktree.root, "a.txt", "eins\n")
    assert await world.snapshot(worktree, "s2") == second
    taken = await world.commit(worktree)
    assert isinstance(taken, Committed)
    assert world.subjects(taken.at.commit) == ["Change it", "First commit"]


async def test_keys_are_told_apart_by_session_in_a_worktree_taken_over(world: World) -> None:
    coding = await world.open()
    first = await world.snapshot(coding)
    fix = await world.open("fix/1")
    assert fix.root == coding.root
    world.put(fix.root, "a.txt", "uno\n")
    second = await world.snapshot(fix)
    assert second != first
    assert await world.snapshot(fix) == second


async def test_a_snapshot_of_a_closed_worktree_is_refused(world: World) -> None:
    worktree = await world.open()
    await world.workspaces.close(CloseWorktreeRequest(worktree=worktree, keep_branch=True))
    with pytest.raises(AdapterError, match="open it again"):
        await world.snapshot(worktree)


async def test_equal_files_have_equal_trees_and_different_commits(world: World) -> None:
    one, other = await world.open(), await world.open("coding-2", "work-2")
    for worktree in (one, other):
        world.put(worktree.root, "a.txt", "uno\n")
    first, second = await world.commit(one, "k1"), await world.commit(other, "k2")
    assert isinstance(first, Committed)
    assert isinstance(second, Committed)
    assert first.at.tree == second.at.tree
    assert first.at.commit != second.at.commit


async def test_an_opened_worktree_is_found_again_with_its_work(world: World) -> None:
    worktree = await world.open()
    world.put(worktree.root, "new.txt", "new\n")
    assert await world.open() == worktree
    assert (await world.open("fix-1")).root == worktree.root
    assert isinstance(await world.commit(worktree), Committed)


async def test_a_clean_rebase_moves_and_keeps_the_key(world: World) -> None:
    worktree = await world.open()
    world.put(worktree.root, "a.txt", "uno\n")
    await world.commit(worktree)
    world.advance("b.txt", "due\n")
    onto = (await world.base()).at
    reply = await world.workspaces.rebase(RebaseRequest(worktree=worktree, onto=onto))
    assert isinstance(reply, Rebased)
    again = await world.workspaces.rebase(RebaseRequest(worktree=worktree, onto=onto))
    assert again == reply
    repeated = await world.commit(worktree)
    assert isinstance(repeated, Committed)
    assert repeated.at == reply.at
    for path, content in (("a.txt", "uno\n"), ("b.txt", "due\n")):
        assert await world.workspaces.read(world.repo, reply.at.commit, path) == content


async def test_a_conflicting_rebase_changes_nothing(world: World) -> None:
    worktree = await world.open()
    world.put(worktree.root, "a.txt", "uno\n")
    done = await world.commit(worktree)
    world.advance("a.txt", "eins\n")
    onto = (await world.base()).at
    reply = await world.workspaces.rebase(RebaseRequest(worktree=worktree, onto=onto))
    assert reply == Conflicted(files=("a.txt",))
    assert await world.commit(worktree) == done


async def test_closing_saves_once_and_then_does_nothing(world: World) -> None:
    worktree = await world.open()
    world.put(worktree.root, "new.txt", "new\n")
    closing = CloseWorktreeRequest(worktree=worktree, keep_branch=False)
    saved = (await world.workspaces.close(closing)).saved
    assert saved == "refs/worktrain/saved/coding-1"
    assert (await world.workspaces.close(closing)).saved == saved
    with pytest.raises(AdapterError, match="open it again"):
        await world.commit(worktree)


async def test_a_session_s_worktree_is_no_place_for_a_checkout(world: World) -> None:
    worktree = await world.open()
    base = await world.base()
    with pytest.raises(AdapterError, match="left alone") as caught:
        await world.workspaces.checkout(world.repo, base.at.commit, Path(worktree.root))
    assert caught.value.kind is FailureKind.CONFLICT


@pytest.mark.parametrize(("repo", "branch"), [("elsewhere", None), (None, "no-such-branch")])
async def test_what_is_not_there_is_misconfigured(
    world: World, repo: str | None, branch: str | None
) -> None:
    with pytest.raises(AdapterError) as caught:
        await world.workspaces.base(repo or world.repo, branch)
    assert caught.value.kind is FailureKind.MISCONFIGURED
