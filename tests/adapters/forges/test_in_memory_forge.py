"""The in-memory forge merges at most once and never over somebody else's work."""

import pytest

from worktrain.adapters.forges.in_memory import InMemoryForge
from worktrain.adapters.workspaces.in_memory import InMemoryCommit, InMemoryRepository
from worktrain.contracts.delivery import BaseMoved, Merged, MergeRequest
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import Base


def made() -> tuple[InMemoryRepository, InMemoryForge, MergeRequest]:
    repository = InMemoryRepository({"a.txt": "one\n"})
    base = repository.at(repository.refs["main"])
    candidate = repository.add(InMemoryCommit({"a.txt": "uno\n"}, base.commit, "Change it"))
    request = MergeRequest(
        pipeline="p", repo="repo", base=Base(branch="main", at=base), candidate=candidate
    )
    return repository, InMemoryForge({"repo": repository}), request


async def test_a_merge_that_is_repeated_is_done_once() -> None:
    repository, forge, request = made()
    assert await forge.merge(request) == Merged(at=request.candidate)
    repository.advance("main", {"later.txt": "later\n"}, "Later")
    assert await forge.merge(request) == Merged(at=request.candidate)
    assert forge.merges == 1


async def test_a_base_that_moved_is_answered() -> None:
    repository, forge, request = made()
    now = repository.advance("main", {"other.txt": "x\n"}, "Meanwhile")
    assert await forge.merge(request) == BaseMoved(now=now)
    assert forge.merges == 0


async def test_a_candidate_beside_the_base_is_refused() -> None:
    repository, forge, request = made()
    now = repository.advance("main", {"other.txt": "x\n"}, "Meanwhile")
    moved = request.model_copy(update={"base": Base(branch="main", at=now)})
    with pytest.raises(AdapterError, match="rebase it first") as caught:
        await forge.merge(moved)
    assert caught.value.kind is FailureKind.CONFLICT


async def test_uncommitted_work_stops_a_merge_only_where_it_is_in_the_way() -> None:
    repository, forge, request = made()
    repository.uncommitted = ("a.txt", "b.txt")
    with pytest.raises(AdapterError, match=r"changes in a\.txt;") as caught:
        await forge.merge(request)
    assert caught.value.kind is FailureKind.MISCONFIGURED
    repository.uncommitted = ("b.txt",)
    assert await forge.merge(request) == Merged(at=request.candidate)


async def test_a_note_is_kept_as_it_is_and_written_once() -> None:
    _, forge, request = made()
    commit, text = request.candidate.commit, "proof\n\n  x \n\n"
    assert await forge.read_note("repo", commit) is None
    for _ in range(2):
        where = await forge.attach_note("repo", request.base, commit, text)
        assert where == "refs/notes/worktrain"
    assert await forge.read_note("repo", commit) == text
    assert forge.notes_written == 1
