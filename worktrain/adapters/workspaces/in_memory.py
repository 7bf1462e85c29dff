"""Workspaces without a disk: files are texts, trees and commits are digests of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import unified_diff
from pathlib import Path

from worktrain.adapters.workspaces import reverting
from worktrain.adapters.workspaces.committing import FILES_MAX, saved_ref
from worktrain.adapters.workspaces.comparing import collected, compared
from worktrain.adapters.workspaces.contents import READ_BYTES_MAX
from worktrain.adapters.workspaces.following import check_own
from worktrain.adapters.workspaces.reviewing import shortened
from worktrain.adapters.workspaces.snapshots import folder_of, snapshot_ref
from worktrain.contracts.base import digest
from worktrain.contracts.delivery import (
    CloseWorktreeReply,
    CloseWorktreeRequest,
    CommitReply,
    CommitRequest,
    Committed,
    Conflicted,
    Foreign,
    NothingChanged,
    Rebased,
    RebaseReply,
    RebaseRequest,
    RevertRequest,
    SnapshotRequest,
)
from worktrain.contracts.examination import Changes
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import Base, CommitRef, Worktree, WorktreeRequest

Files = dict[str, str]
SOMEBODY = "Somebody <somebody@example.invalid>"


@dataclass(frozen=True)
class InMemoryCommit:
    files: Files
    parent: str | None
    message: str
    key: str | None = None
    """None when somebody else made it."""
    author: str = SOMEBODY
    """Of a commit without a key."""


class InMemoryRepository:
    """A repository shared by the in-memory workspaces and forge. Its base branch stands for
    the remote's when `remote` is given."""

    def __init__(
        self, files: Mapping[str, str], branch: str = "main", remote: str | None = None
    ) -> None:
        self.default = branch
        self.remote = remote
        self.commits: dict[str, InMemoryCommit] = {}
        self.refs: dict[str, str] = {}
        self.notes: dict[str, str] = {}
        self.uncommitted: tuple[str, ...] = ()
        """What the user has not committed in the checkout of the base branch."""
        self.advance(branch, files, "First commit")

    def advance(self, branch: str, changes: Mapping[str, str | None], message: str) -> CommitRef:
        """A commit by somebody else; None removes a file."""
        parent = self.refs.get(branch)
        files: Files = dict(self.commits[parent].files) if parent else {}
        for path, content in changes.items():
            files.pop(path, None)
            if content is not None:
                files[path] = content
        at = self.add(InMemoryCommit(files, parent, message))
        self.refs[branch] = at.commit
        return at

    def add(self, commit: InMemoryCommit) -> CommitRef:
        tree = tree_of(commit.files)
        told = (tree, commit.parent or "", commit.message, commit.key or "")
        name = digest("\0".join(told))[:40]
        self.commits[name] = commit
        return CommitRef(commit=name, tree=tree)

    def at(self, commit: str) -> CommitRef:
        if commit not in self.commits:
            raise AdapterError(
                FailureKind.MISCONFIGURED,
                f"Reading commit {commit}: it is not there; fetch it, or check its name.",
            )
        return CommitRef(commit=commit, tree=tree_of(self.commits[commit].files))

    def history(self, commit: str | None) -> list[str]:
        """The commit and its ancestors, newest first."""
        names = []
        while commit is not None:
            names.append(commit)
            commit = self.commits[commit].parent
        return names


@dataclass
class InMemoryWorktree:
    session: str
    repo: str
    branch: str | None
    start: str
    files: Files = field(default_factory=dict)


class InMemoryWorkspaces:
    """`worktrees` by root: a test plays the agent by changing `worktrees[root].files`."""

    def __init__(self, repositories: Mapping[str, InMemoryRepository]) -> None:
        self._repositories = repositories
        self.worktrees: dict[str, InMemoryWorktree] = {}
        self.checkouts: dict[str, Files] = {}

    async def base(self, repo: str, branch: str | None) -> Base:
        found = self._find(repo)
        name = branch or found.default
        if name not in found.refs:
            raise AdapterError(
                FailureKind.MISCONFIGURED,
                f"Reading the base branch: {repo} has no branch {name!r}; name another one.",
            )
        return Base(branch=name, at=found.at(found.refs[name]), remote=found.remote)

    async def changed(self, repo: str) -> tuple[str, ...]:
        return self._find(repo).uncommitted

    async def read(self, repo: str, commit: str, path: str) -> str | None:
        found = self._find(repo)
        return found.commits[found.at(commit).commit].files.get(path)

    async def files(self, repo: str, commit: str, folders: Sequence[str] = ()) -> dict[str, int]:
        found = self._find(repo)
        held = found.commits[found.at(commit).commit].files
        below = tuple(f"{folder}/" for folder in folders)
        return {
            path: len(held[path].encode())
            for path in sorted(held)
            if not below or path.startswith(below)
        }

    async def texts(self, repo: str, commit: str, paths: Sequence[str]) -> dict[str, str]:
        sizes = await self.files(repo, commit)
        held = self._find(repo).commits[commit].files
        return {
            path: held[path]
            for path in paths
            if sizes.get(path, READ_BYTES_MAX + 1) <= READ_BYTES_MAX
        }

    async def tree(self, repo: str, commit: str) -> CommitRef:
        return self._find(repo).at(commit)

    async def diff(self, repo: str, base: str, candidate: str) -> str:
        found = self._find(repo)
        fork = _fork(found, found.at(base).commit, found.at(candidate).commit)
        old: Files = found.commits[fork].files if fork else {}
        new = found.commits[candidate].files
        sections = []
        for path in differing(old, new):
            before, after = (files.get(path, "").splitlines(keepends=True) for files in (old, new))
            text = "".join(unified_diff(before, after, f"a/{path}", f"b/{path}"))
            sections.append((path, f"diff --git a/{path} b/{path}\n{text}"))
        return shortened(sections)

    async def changes(self, repo: str, base: str, candidate: str) -> Changes:
        found = self._find(repo)
        fork = _fork(found, found.at(base).commit, found.at(candidate).commit)
        old: Files = found.commits[fork].files if fork else {}
        return collected(compared(old, found.commits[candidate].files))

    async def open(self, request: WorktreeRequest, root: Path, queue: str) -> Worktree:
        found = self._find(request.repo)
        place = next(
            (
                place
                for place, known in self.worktrees.items()
                if place == str(root)
                or (request.branch is not None and (request.repo, request.branch) == _of(known))
            ),
            None,
        )
        if place is None:
            place = str(root)
            start = found.at(request.at).commit
            if request.branch is not None:
                start = found.refs.setdefault(request.branch, start)
            files = dict(found.commits[start].files)
            self.worktrees[place] = InMemoryWorktree(
                request.session, request.repo, request.branch, start, files
            )
        self._follow(found, self.worktrees[place])
        return Worktree(
            session=request.session,
            repo=request.repo,
            root=place,
            branch=request.branch,
            queue=queue,
        )

    async def commit(self, request: CommitRequest) -> CommitReply:
        found, worktree = self._open(request.worktree)
        head = worktree.start
        if request.known is not None and worktree.branch is not None:
            head = found.refs[worktree.branch]
            theirs = _beyond(found, head, found.at(request.known).commit)
            if theirs is not None:
                return theirs
        if worktree.files == found.commits[worktree.start].files:
            history = found.history(worktree.start)
            keyed = (name for name in history if found.commits[name].key == request.key)
            earlier = next(keyed, None)
            return self._committed(found, earlier) if earlier else NothingChanged()
        message = f"{request.subject}\n\n{request.body}".strip()
        work = InMemoryCommit(dict(worktree.files), worktree.start, message, request.key)
        made = found.add(work).commit
        if head != worktree.start:
            moved = _replayed(found, made, head)
            if isinstance(moved, Conflicted):
                raise AdapterError(
                    FailureKind.CONFLICT,
                    f"Committing the work of {request.key} on top of {head}, which somebody else "
                    f"put on {worktree.branch}: both change {', '.join(moved.files)}; bring the "
                    "two together by hand.",
                )
            made = moved
            worktree.files = dict(found.commits[made].files)
        self._move(found, worktree, made)
        return self._committed(found, made)

    async def snapshot(self, request: SnapshotRequest) -> CommitRef:
        found, worktree = self._open(request.worktree)
        ref = snapshot_ref(worktree.session, request)
        if ref not in found.refs:
            made = worktree.start
            if worktree.files != found.commits[made].files:
                message = f"Snapshot {request.key} of session {request.worktree.session}"
                made = found.add(InMemoryCommit(dict(worktree.files), made, message)).commit
            found.refs[ref] = made
        return found.at(found.refs[ref])

    async def rebase(self, request: RebaseRequest) -> RebaseReply:
        found, worktree = self._open(request.worktree)
        if request.branch:
            self._check_free(request.worktree.repo, request.branch, worktree)
        self._follow(found, worktree)
        onto, head = found.at(request.onto.commit).commit, worktree.start
        if worktree.files != found.commits[head].files:
            raise AdapterError(
                FailureKind.CONFLICT,
                f"Rebasing in {request.worktree.root}: it holds changes that are not committed; "
                "commit them first.",
            )
        if onto not in found.history(head):
            moved = _replayed(found, head, onto)
            if isinstance(moved, Conflicted):
                return moved
            head = moved
            self._move(found, worktree, head)
            worktree.files = dict(found.commits[head].files)
        if request.branch:
            self._advance(found, request.branch, head)
        return Rebased(at=found.at(head))

    async def foreign(self, repo: str, branch: str, known: str | None) -> Foreign | None:
        found = self._find(repo)
        head = found.refs.get(branch)
        if known is None or head is None:
            return None
        return _beyond(found, head, found.at(known).commit)

    async def revert(self, request: RevertRequest) -> CommitRef:
        found = self._find(request.repo)
        doing = f"Undoing {request.merged.commit} on {request.base.branch}"
        check_own(request.branch)
        key, head = reverting.key_of(request), found.refs.get(request.branch)
        if head is not None:
            if found.commits[head].key == key:
                return found.at(head)
            raise reverting.taken(doing, request.branch)
        base = found.at(request.base.at.commit)
        if request.merged.commit not in found.history(base.commit):
            raise reverting.not_there(doing, request)
        merged, before = (
            found.commits[found.at(one.commit).commit].files
            for one in (request.merged, request.before)
        )
        files = _merged_files(found.commits[base.commit].files, merged, before)
        if isinstance(files, Conflicted):
            raise reverting.clashing(doing, files)
        if tree_of(files) == base.tree:
            raise reverting.undone_already(doing)
        made = found.add(InMemoryCommit(files, base.commit, f"Revert\n\n{request.why}", key))
        found.refs[request.branch] = made.commit
        return made

    async def checkout(self, repo: str, commit: str, root: Path) -> None:
        found = self._find(repo)
        self._refuse_session(root)
        self.checkouts[str(root)] = dict(found.commits[found.at(commit).commit].files)

    async def discard(self, repo: str, root: Path) -> None:
        self._refuse_session(root)
        self.checkouts.pop(str(root), None)

    async def close(self, request: CloseWorktreeRequest) -> CloseWorktreeReply:
        asked = request.worktree
        found, ref = self._find(asked.repo), saved_ref(asked.session)
        worktree = self.worktrees.pop(asked.root, None)
        owners = (asked.session, *((worktree.session,) if worktree else ()))
        for kept in [name for name in found.refs if name.startswith(tuple(map(folder_of, owners)))]:
            del found.refs[kept]
        if worktree is not None:
            if worktree.files != found.commits[worktree.start].files:
                message = f"Uncommitted work of session {asked.session}"
                saved = InMemoryCommit(worktree.files, worktree.start, message)
                found.refs[ref] = found.add(saved).commit
            if worktree.branch is not None and not request.keep_branch:
                found.refs.pop(worktree.branch, None)
        if request.also:
            check_own(request.also)
            if all(_of(other) != (asked.repo, request.also) for other in self.worktrees.values()):
                found.refs.pop(request.also, None)
        return CloseWorktreeReply(saved=ref if ref in found.refs else None)

    def _find(self, repo: str) -> InMemoryRepository:
        if repo not in self._repositories:
            raise AdapterError(
                FailureKind.MISCONFIGURED,
                f"Looking for the repository at {repo}: there is none; check the path.",
            )
        return self._repositories[repo]

    def _open(self, asked: Worktree) -> tuple[InMemoryRepository, InMemoryWorktree]:
        if asked.root not in self.worktrees:
            raise AdapterError(
                FailureKind.CONFLICT,
                f"The worktree {asked.root} of session {asked.session} is gone; open it again.",
            )
        return self._find(asked.repo), self.worktrees[asked.root]

    def _refuse_session(self, root: Path) -> None:
        if str(root) in self.worktrees:
            raise AdapterError(
                FailureKind.CONFLICT,
                f"{root} was left alone: it is the worktree of a session; use another place.",
            )

    def _move(self, found: InMemoryRepository, worktree: InMemoryWorktree, commit: str) -> None:
        worktree.start = commit
        if worktree.branch is not None:
            found.refs[worktree.branch] = commit

    def _follow(self, found: InMemoryRepository, worktree: InMemoryWorktree) -> None:
        """Bring files that nobody changed to where somebody else has moved their branch."""
        head = found.refs.get(worktree.branch or "", worktree.start)
        if head != worktree.start and worktree.files == found.commits[worktree.start].files:
            worktree.start, worktree.files = head, dict(found.commits[head].files)

    def _check_free(self, repo: str, branch: str, own: InMemoryWorktree) -> None:
        check_own(branch)
        for root, other in self.worktrees.items():
            if other is not own and _of(other) == (repo, branch):
                raise AdapterError(
                    FailureKind.MISCONFIGURED,
                    f"Moving {branch} forward: it is checked out in {root}; close that worktree, "
                    "then resume.",
                )

    def _advance(self, found: InMemoryRepository, branch: str, to: str) -> None:
        head = found.refs.get(branch, to)
        if to in found.history(head):
            found.refs.setdefault(branch, to)
        elif head in found.history(to):
            found.refs[branch] = to
        else:
            raise AdapterError(
                FailureKind.CONFLICT,
                f"Moving {branch} forward to {to}: it names {head}, which that does not build "
                "on; look at who has moved it, and decide by hand.",
            )

    def _committed(self, found: InMemoryRepository, commit: str) -> Committed:
        made = found.commits[commit]
        before: Files = found.commits[made.parent].files if made.parent else {}
        files = tuple(differing(before, made.files))[:FILES_MAX]
        return Committed(at=found.at(commit), files=files)


def tree_of(files: Mapping[str, str]) -> str:
    """The id of a tree: equal files, equal tree."""
    return digest("\0".join(f"{path}\0{digest(files[path])}" for path in sorted(files)))[:40]


def _of(worktree: InMemoryWorktree) -> tuple[str, str | None]:
    return worktree.repo, worktree.branch


def _beyond(found: InMemoryRepository, head: str, known: str) -> Foreign | None:
    """What `head` holds of others beyond `known`, or in its place."""
    past, history = set(found.history(known)), found.history(head)
    made = [found.commits[name] for name in history if name not in past]
    theirs = [commit.author for commit in made if commit.key is None]
    if known in history and not theirs:
        return None
    authors = theirs or [commit.author for commit in made]
    return Foreign(head=found.at(head), by=tuple(dict.fromkeys(authors)))


def _replayed(found: InMemoryRepository, head: str, onto: str) -> str | Conflicted:
    """The head's own commits made again on `onto`: the last one, or the files in conflict."""
    fork = _fork(found, onto, head)
    history = found.history(head)
    for name in reversed(history[: history.index(fork)] if fork else history):
        picked = found.commits[name]
        before: Files = found.commits[picked.parent].files if picked.parent else {}
        files = _merged_files(found.commits[onto].files, before, picked.files)
        if isinstance(files, Conflicted):
            return files
        if files != found.commits[onto].files:
            again = replace(picked, files=files, parent=onto)
            onto = found.add(again).commit
    return onto


def _merged_files(
    ours: Mapping[str, str], before: Mapping[str, str], theirs: Mapping[str, str]
) -> Files | Conflicted:
    """What `theirs` made of `before`, done to `ours`; a file that both changed is a conflict."""
    files = dict(ours)
    touched = differing(before, theirs)
    clashing = [
        path for path in touched if ours.get(path) not in (before.get(path), theirs.get(path))
    ]
    if clashing:
        return Conflicted(files=tuple(clashing)[:FILES_MAX])
    for path in touched:
        files.pop(path, None)
        if path in theirs:
            files[path] = theirs[path]
    return files


def _fork(found: InMemoryRepository, one: str, other: str) -> str | None:
    known = set(found.history(one))
    return next((name for name in found.history(other) if name in known), None)


def differing(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """The paths at which two trees differ."""
    return [path for path in sorted({*old, *new}) if old.get(path) != new.get(path)]
