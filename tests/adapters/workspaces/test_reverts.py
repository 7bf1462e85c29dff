"""Undoing a merge on a branch of its own: at once, below later work, and where it cannot be."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.adapters.conftest import Project
from worktrain.adapters.workspaces import Workspaces
from worktrain.adapters.workspaces.in_memory import InMemoryRepository, InMemoryWorkspaces
from worktrain.contracts.delivery import RevertRequest
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import CommitRef

BRANCH = "worktrain/revert-fix-it"


class World:
    """One kind of workspaces; `commit` puts a file onto the base branch."""

    def __init__(
        self, repo: str, workspaces: Workspaces, commit: Callable[[str, str], str]
    ) -> None:
        self.repo = repo
        self.workspaces = workspaces
        self._commit = commit

    async def commit(self, path: str, content: str) -> CommitRef:
        return await self.workspaces.tree(self.repo, self._commit(path, content))

    async def request(self, before: CommitRef, merged: CommitRef) -> RevertRequest:
        return RevertRequest(
            pipeline="task/p/fix-it",
            repo=self.repo,
            base=await self.workspaces.base(self.repo, "main"),
            before=before,
            merged=merged,
            branch=BRANCH,
            why="The check tests fails since.",
        )

    async def held(self, at: CommitRef, path: str) -> str | None:
        return await self.workspaces.read(self.repo, at.commit, path)


def in_memory(place: Path) -> World:
    repository = InMemoryRepository({"a.txt": "one\n"})

    def commit(path: str, content: str) -> str:
        return repository.advance("main", {path: content}, "Change it").commit

    return World("repo", InMemoryWorkspaces({"repo": repository}), commit)


def on_disk(place: Path) -> World:
    project = Project(place)
    project.add("First commit", a_txt="one\n")

    def commit(path: str, content: str) -> str:
        (project.repo / path).write_text(content)
        return project.add("Change it")

    return World(str(project.repo), project.workspaces, commit)


@pytest.fixture(params=[in_memory, on_disk], ids=["in memory", "on disk"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    make: Callable[[Path], World] = request.param
    return make(tmp_path)


async def test_the_newest_merge_is_undone_whole(world: World) -> None:
    before = await world.commit("b.txt", "before\n")
    await world.commit("a.txt", "uno\n")
    merged = await world.commit("c.txt", "new\n")
    at = await world.workspaces.revert(await world.request(before, merged))
    assert at.tree == before.tree
    assert at.commit != before.commit
    assert (await world.workspaces.base(world.repo, "main")).at == merged, "the base is left alone"


async def test_a_second_attempt_finds_the_first(world: World) -> None:
    before = await world.commit("b.txt", "before\n")
    merged = await world.commit("a.txt", "uno\n")
    request = await world.request(before, merged)
    at = await world.workspaces.revert(request)
    await world.commit("later.txt", "later\n")
    assert await world.workspaces.revert(request) == at
    assert await world.workspaces.revert(await world.request(before, merged)) == at


async def test_later_work_of_others_stays(world: World) -> None:
    before = await world.commit("b.txt", "before\n")
    merged = await world.commit("a.txt", "uno\n")
    await world.commit("later.txt", "later\n")
    at = await world.workspaces.revert(await world.request(before, merged))
    assert await world.held(at, "a.txt") == "one\n"
    assert await world.held(at, "later.txt") == "later\n"


async def test_later_work_in_the_way_is_a_conflict_and_makes_no_branch(world: World) -> None:
    before = await world.commit("b.txt", "before\n")
    merged = await world.commit("a.txt", "uno\n")
    await world.commit("a.txt", "due\n")
    with pytest.raises(AdapterError, match=r"later work has changed a\.txt") as caught:
        await world.workspaces.revert(await world.request(before, merged))
    assert caught.value.kind is FailureKind.CONFLICT
    await world.commit("a.txt", "uno\n")
    assert await world.workspaces.revert(await world.request(before, merged)), "it can be made now"


async def test_what_is_undone_already_is_not_undone_again(world: World) -> None:
    before = await world.commit("b.txt", "before\n")
    merged = await world.commit("a.txt", "uno\n")
    await world.commit("a.txt", "one\n")
    with pytest.raises(AdapterError, match="undone already") as caught:
        await world.workspaces.revert(await world.request(before, merged))
    assert caught.value.kind is FailureKind.CONFLICT


async def test_a_branch_that_holds_something_else_is_left_alone(world: World) -> None:
    before = await world.commit("b.txt", "before\n")
    merged = await world.commit("a.txt", "uno\n")
    at = await world.workspaces.revert(await world.request(before, merged))
    other = await world.request(before, await world.commit("c.txt", "other\n"))
    with pytest.raises(AdapterError, match="is not the one that undoes it") as caught:
        await world.workspaces.revert(other)
    assert caught.value.kind is FailureKind.CONFLICT
    request = await world.request(before, merged)
    assert await world.workspaces.revert(request) == at
    named = request.model_copy(update={"branch": "main"})
    with pytest.raises(AdapterError, match="only branches of its own") as caught:
        await world.workspaces.revert(named)
    assert caught.value.kind is FailureKind.MISCONFIGURED


async def test_a_base_that_does_not_hold_the_merge_is_refused(world: World) -> None:
    before = await world.commit("b.txt", "before\n")
    merged = await world.commit("a.txt", "uno\n")
    request = await world.request(before, merged)
    back = request.base.model_copy(update={"at": before})
    with pytest.raises(AdapterError, match="does not contain it") as caught:
        await world.workspaces.revert(request.model_copy(update={"base": back}))
    assert caught.value.kind is FailureKind.CONFLICT


async def test_the_commit_says_what_it_undoes_and_why(project: Project) -> None:
    tree = project.workspaces.tree
    before = await tree(str(project.repo), "HEAD")
    merged = await tree(str(project.repo), project.add("Break\tit", a_txt="uno\n"))
    request = await World(str(project.repo), project.workspaces, str.__add__).request(
        before, merged
    )
    at = await project.workspaces.revert(request)
    said = project.git("log", "-1", "--format=%an%n%B", at.commit)
    assert said.splitlines()[:2] == ["Olive Owner", 'Revert "Break it"']
    assert "The check tests fails since." in said
    assert f"everything from {before.commit} to {merged.commit}." in said
    assert project.head(BRANCH) == at.commit
    assert project.git("status", "--porcelain") == "", "no file was touched"
