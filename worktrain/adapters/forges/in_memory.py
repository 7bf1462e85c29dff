"""A forge that hands work over to the in-memory repositories."""

from collections.abc import Mapping

from worktrain.adapters.workspaces.following import check_own
from worktrain.adapters.workspaces.in_memory import InMemoryRepository, differing
from worktrain.contracts.delivery import BaseMoved, Merged, MergeReply, MergeRequest
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import Base


class InMemoryForge:
    """`merges` and `notes_written` count what was really done, for tests of "at most once".
    `published` are the branches on the remote, `reviews` the texts by commit."""

    def __init__(self, repositories: Mapping[str, InMemoryRepository]) -> None:
        self._repositories = repositories
        self.merges = 0
        self.notes_written = 0
        self.published: dict[str, str] = {}
        self.reviews: dict[str, str] = {}

    async def merge(self, request: MergeRequest) -> MergeReply:
        found, branch = self._repositories[request.repo], request.base.branch
        now, candidate = found.refs[branch], found.at(request.candidate.commit)
        if candidate.commit in found.history(now):
            return Merged(at=candidate)
        if now != request.base.at.commit:
            return BaseMoved(now=found.at(now))
        if now not in found.history(candidate.commit):
            raise AdapterError(
                FailureKind.CONFLICT,
                f"Merging {candidate.commit} into {branch}: it does not build on {now}; "
                "rebase it first.",
            )
        ends = found.commits[now].files, found.commits[candidate.commit].files
        in_the_way = sorted({*found.uncommitted} & {*differing(*ends)})
        if in_the_way and found.remote is None:
            raise AdapterError(
                FailureKind.MISCONFIGURED,
                f"Merging into {branch}: it is checked out with uncommitted changes in "
                f"{', '.join(in_the_way)}; commit or stash them, then resume.",
            )
        found.refs[branch] = candidate.commit
        self.merges += 1
        return Merged(at=candidate)

    async def merged(self, request: MergeRequest) -> Merged | None:
        found, candidate = self._repositories[request.repo], request.candidate.commit
        contained = candidate in found.history(found.refs[request.base.branch])
        return Merged(at=found.at(candidate)) if contained else None

    async def publish(self, repo: str, base: Base, branch: str, commit: str) -> str:
        check_own(branch)
        found = self._repositories[repo]
        branches = found.refs if base.remote is None else self.published
        where = f"{branch} {f'in {repo}' if base.remote is None else f'on {base.remote}'}"
        head = branches.get(branch)
        if commit in found.history(head):
            return where
        if head is not None and head not in found.history(commit):
            raise AdapterError(
                FailureKind.CONFLICT,
                f"Publishing {branch}: it holds {head}, which {commit} does not build on; rename "
                "or delete that branch, or publish by hand.",
            )
        branches[branch] = commit
        return where

    async def post_review(self, repo: str, base: Base, commit: str, text: str) -> str:
        self.reviews[self._repositories[repo].at(commit).commit] = text
        where = "refs/notes/worktrain-reviews"
        return where if base.remote is None else f"{where} on {base.remote}"

    async def attach_note(self, repo: str, base: Base, commit: str, text: str) -> str:
        found = self._repositories[repo]
        if found.notes.get(commit) != text:
            found.notes[found.at(commit).commit] = text
            self.notes_written += 1
        where = "refs/notes/worktrain"
        return where if base.remote is None else f"{where} on {base.remote}"

    async def read_note(self, repo: str, commit: str) -> str | None:
        return self._repositories[repo].notes.get(commit)
