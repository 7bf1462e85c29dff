"""What is shown to people: branches of our own, reviews, and whether a merge is there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.adapters.conftest import Project
from worktrain.adapters.forges import Forge
from worktrain.adapters.forges.in_memory import InMemoryForge
from worktrain.adapters.forges.local_git import REVIEWS, LocalGitForge
from worktrain.adapters.workspaces.in_memory import InMemoryRepository
from worktrain.contracts.delivery import Merged, MergeRequest
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import Base, CommitRef

BRANCH = "worktrain/revert-fix-it"


class World:
    """One kind of forge; `commit` makes a commit on top of another, on no branch."""

    def __init__(
        self,
        repo: str,
        forge: Forge,
        base: Base,
        commit: Callable[[str, str], CommitRef],
        head: Callable[[str], str | None],
    ) -> None:
        self.repo = repo
        self.forge = forge
        self.base = base
        self.commit = commit
        self.head = head
        """What a branch names where work is merged to."""

    async def publish(self, at: CommitRef, branch: str = BRANCH) -> str:
        return await self.forge.publish(self.repo, self.base, branch, at.commit)

    def request(self, candidate: CommitRef) -> MergeRequest:
        return MergeRequest(pipeline="p", repo=self.repo, base=self.base, candidate=candidate)


def in_memory(remote: str | None) -> Callable[[Path], World]:
    def made(place: Path) -> World:
        repository = InMemoryRepository({"a.txt": "one\n"}, remote=remote)
        forge = InMemoryForge({"repo": repository})
        base = Base(branch="main", at=repository.at(repository.refs["main"]), remote=remote)

        def commit(parent: str, content: str) -> CommitRef:
            repository.refs["aside"] = parent
            return repository.advance("aside", {"a.txt": content}, content)

        def head(branch: str) -> str | None:
            held = repository.refs if remote is None else forge.published
            return held.get(branch)

        return World("repo", forge, base, commit, head)

    return made


def on_disk(remote: str | None) -> Callable[[Path], World]:
    def made(place: Path) -> World:
        project = Project(place)
        project.add("First commit", a_txt="one\n")
        if remote:
            project.with_origin()
        at = CommitRef(commit=project.head(), tree=project.head("HEAD^{tree}"))

        def commit(parent: str, content: str) -> CommitRef:
            project.git("checkout", "--quiet", "--detach", parent)
            name = project.add(content, a_txt=content)
            project.git("checkout", "--quiet", "main")
            return CommitRef(commit=name, tree=project.head(f"{name}^{{tree}}"))

        def head(branch: str) -> str | None:
            where = project.origin if remote else project.repo
            named = project.git("for-each-ref", f"refs/heads/{branch}", at=where)
            return named.split()[0] if named else None

        forge = LocalGitForge(project.runner)
        base = Base(branch="main", at=at, remote=remote)
        return World(str(project.repo), forge, base, commit, head)

    return made


@pytest.fixture(
    params=[make(remote) for make in (in_memory, on_disk) for remote in (None, "origin")],
    ids=["in memory", "in memory, remote", "on disk", "on disk, remote"],
)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    make: Callable[[Path], World] = request.param
    return make(tmp_path)


async def test_a_branch_is_published_once_and_where_it_is_is_told(world: World) -> None:
    at = world.commit(world.base.at.commit, "undone\n")
    for _ in range(2):
        where = await world.publish(at)
    assert BRANCH in where
    assert (world.base.remote or world.repo) in where
    assert world.head(BRANCH) == at.commit


async def test_a_branch_that_went_on_is_published_already(world: World) -> None:
    at = world.commit(world.base.at.commit, "undone\n")
    later = world.commit(at.commit, "more\n")
    await world.publish(later)
    await world.publish(at)
    assert world.head(BRANCH) == later.commit


async def test_a_branch_that_holds_something_else_is_not_written_over(world: World) -> None:
    theirs = world.commit(world.base.at.commit, "theirs\n")
    await world.publish(theirs)
    with pytest.raises(AdapterError) as caught:
        await world.publish(world.commit(world.base.at.commit, "ours\n"))
    assert caught.value.kind is FailureKind.CONFLICT
    assert world.head(BRANCH) == theirs.commit


async def test_a_branch_that_is_not_of_our_own_is_not_published(world: World) -> None:
    at = world.commit(world.base.at.commit, "undone\n")
    with pytest.raises(AdapterError, match="only branches of its own") as caught:
        await world.publish(at, "main")
    assert caught.value.kind is FailureKind.MISCONFIGURED


async def test_a_merge_is_there_only_once_it_was_done(world: World) -> None:
    candidate = world.commit(world.base.at.commit, "new\n")
    assert await world.forge.merged(world.request(candidate)) is None
    assert await world.forge.merge(world.request(candidate)) == Merged(at=candidate)
    assert await world.forge.merged(world.request(candidate)) == Merged(at=candidate)


async def test_whether_a_merge_is_there_is_not_guessed(project: Project) -> None:
    project.with_origin()
    base = await project.workspaces.base(str(project.repo), "main")
    candidate = await project.candidate(a_txt="uno\n")
    request = MergeRequest(pipeline="p", repo=str(project.repo), base=base, candidate=candidate)
    project.origin.rename(project.place / "gone.git")
    with pytest.raises(AdapterError) as caught:
        await LocalGitForge(project.runner).merged(request)
    assert caught.value.kind is FailureKind.UNREACHABLE


async def test_a_remote_that_refuses_a_branch_is_quoted(project: Project) -> None:
    project.with_origin()
    hook = project.origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'no bots here' >&2; exit 1\n")
    hook.chmod(0o755)
    base = await project.workspaces.base(str(project.repo), "main")
    forge = LocalGitForge(project.runner)
    with pytest.raises(AdapterError, match="no bots here") as caught:
        await forge.publish(str(project.repo), base, BRANCH, base.at.commit)
    assert caught.value.kind is FailureKind.MISCONFIGURED


async def test_a_review_takes_the_place_of_our_earlier_one(project: Project) -> None:
    project.with_origin()
    base = await project.workspaces.base(str(project.repo), "main")
    forge = LocalGitForge(project.runner)
    await forge.attach_note(str(project.repo), base, base.at.commit, "the proof\n")
    for text in ("one finding\n", "# none\n\n  left\n"):
        where = await forge.post_review(str(project.repo), base, base.at.commit, text)
    assert where == f"{REVIEWS} on origin"
    shown = project.git("notes", f"--ref={REVIEWS}", "show", base.at.commit, at=project.origin)
    assert shown == "# none\n\n  left"
    assert await forge.read_note(str(project.repo), base.at.commit) == "the proof\n"


async def test_reviews_of_others_that_came_first_are_kept(project: Project) -> None:
    project.with_origin()
    base = await project.workspaces.base(str(project.repo), "main")
    other = project.add("Other", b_txt="b\n")
    project.git("push", "--quiet", "origin", "main")
    project.git(
        *("-c", "user.name=a", "-c", "user.email=a@b"),
        *("notes", f"--ref={REVIEWS}", "add", "-m", "theirs", other),
        at=project.origin,
    )
    forge = LocalGitForge(project.runner)
    await forge.post_review(str(project.repo), base, base.at.commit, "ours\n")
    for commit, text in ((other, "theirs"), (base.at.commit, "ours")):
        assert project.git("notes", f"--ref={REVIEWS}", "show", commit, at=project.origin) == text


async def test_a_review_in_memory_is_the_newest() -> None:
    world = in_memory(None)(Path())
    forge = world.forge
    assert isinstance(forge, InMemoryForge)
    for text in ("one", "none"):
        where = await forge.post_review("repo", world.base, world.base.at.commit, text)
    assert forge.reviews == {world.base.at.commit: "none"}
    assert where == REVIEWS
