"""A forge that hands work over to the in-memory repositories."""

from collections.abc import Mapping

from worktrain.adapters.workspaces.in_memory import InMemoryRepository, differing
from worktrain.contracts.delivery import BaseMoved, Merged, MergeReply, MergeRequest
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import Base


class InMemoryForge:
    """`merges` and `notes_written` count what was really done, for tests of "at most once"."""

    def __init__(self, repositories: Mapping[str, InMemoryRepository]) -> None:
        self._repositories = repositories
        self.merges = 0
        self.notes_written = 0

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

    async def attach_note(self, repo: str, base: Base, commit: str, text: str) -> str:
        found = self._repositories[repo]
        if found.notes.get(commit) != text:
            found.notes[found.at(commit).commit] = text
            self.notes_written += 1
        where = "refs/notes/worktrain"
        return where if base.remote is None else f"{where} on {base.remote}"

    async def read_note(self, repo: str, commit: str) -> str | None:
        return self._repositories[repo].notes.get(commit)
