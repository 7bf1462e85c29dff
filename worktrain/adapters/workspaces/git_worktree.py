"""Workspaces on real git worktrees, each locked with a reason that says whose it is.

Git never looks for its repository from inside a worktree: the agent owns what stands there, its
`.git` included.
"""

from collections.abc import Sequence
from pathlib import Path

from worktrain.adapters.workspaces import (
    branches,
    checkouts,
    committing,
    comparing,
    contents,
    following,
    foreign,
    moving,
    replaying,
    reverting,
    reviewing,
    snapshots,
    staging,
    taking,
)
from worktrain.adapters.workspaces.git import Git, disk, printable, split
from worktrain.adapters.workspaces.repository import Repository, real
from worktrain.contracts.delivery import (
    CloseWorktreeReply,
    CloseWorktreeRequest,
    CommitReply,
    CommitRequest,
    Conflicted,
    Foreign,
    Rebased,
    RebaseReply,
    RebaseRequest,
    RevertRequest,
    SnapshotRequest,
)
from worktrain.contracts.examination import Changes
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import Base, CommitRef, Worktree, WorktreeRequest


class GitWorkspaces:
    """`Workspaces` on the git program (2.38 or newer)."""

    def __init__(self, git: Git) -> None:
        self._git = git

    # --- reading the repository ----------------------------------------------------------

    async def base(self, repo: str, branch: str | None) -> Base:
        found = await Repository.find(self._git, repo)
        remote = await found.remote()
        name = branch or await branches.default_branch(found, repo, remote)
        await branches.check_name(found, name)
        if remote is None:
            head = await found.named(f"refs/heads/{name}")
            if head is None:
                raise await branches.missing(found, name)
        else:
            async with found.exclusive("remote"):
                head = await found.remote_branch(remote, name)
            if head is None:
                raise AdapterError(
                    FailureKind.MISCONFIGURED,
                    f"Reading the base branch: {remote} has no branch {name!r}; push it with "
                    f"`git push {remote} {name}`, or name another base.",
                )
        return Base(branch=name, at=await found.commit(head), remote=remote)

    async def changed(self, repo: str) -> tuple[str, ...]:
        found = await Repository.find(self._git, repo)
        main = (await found.checkouts())[0]
        if main.root is None:
            return ()
        listed = await self._git.run(
            main.at,
            "status",
            "--porcelain=v1",
            "-z",
            "--no-renames",
            "--untracked-files=normal",
            "--ignore-submodules=all",
            doing=f"Looking for uncommitted changes in {main.root}",
        )
        return tuple(printable(entry[3:]) for entry in split(listed))

    async def read(self, repo: str, commit: str, path: str) -> str | None:
        found = await Repository.find(self._git, repo)
        return await contents.text(found, await found.commit(commit), path)

    async def files(self, repo: str, commit: str, folders: Sequence[str] = ()) -> dict[str, int]:
        found = await Repository.find(self._git, repo)
        return await contents.sizes(found, await found.commit(commit), folders)

    async def texts(self, repo: str, commit: str, paths: Sequence[str]) -> dict[str, str]:
        found = await Repository.find(self._git, repo)
        return await contents.texts(found, await found.commit(commit), paths)

    async def tree(self, repo: str, commit: str) -> CommitRef:
        return await (await Repository.find(self._git, repo)).commit(commit)

    async def diff(self, repo: str, base: str, candidate: str) -> str:
        return await reviewing.diff(await Repository.find(self._git, repo), base, candidate)

    async def changes(self, repo: str, base: str, candidate: str) -> Changes:
        return await comparing.changes(await Repository.find(self._git, repo), base, candidate)

    # --- a session's worktree ------------------------------------------------------------

    async def open(self, request: WorktreeRequest, root: Path, queue: str) -> Worktree:
        found = await Repository.find(self._git, request.repo)
        if request.branch is not None:
            await branches.check_name(found, request.branch)
        here = await checkouts.outside(found, root)
        async with found.exclusive():
            checkout = await checkouts.existing(found, request, here)
            if checkout is None:
                checkout = await checkouts.make(found, request, here)
            await following.followed(found, checkout, request.branch)
            if await found.named(moving.START, checkout.at) is None:
                await moving.point(
                    found, checkout, moving.START, await moving.head_of(found, checkout, None)
                )
            assert checkout.root is not None
            with disk(f"Opening the worktree {checkout.root}"):
                if not checkouts.exists(checkout.root / ".git"):
                    checkouts.link(checkout.root, checkout.git_dir)
        return Worktree(
            session=request.session,
            repo=request.repo,
            root=str(checkout.root),
            branch=request.branch,
            queue=queue,
        )

    async def commit(self, request: CommitRequest) -> CommitReply:
        found, checkout = await checkouts.ours(self._git, request.worktree)
        async with found.exclusive():
            return await taking.taken(found, checkout, request)

    async def snapshot(self, request: SnapshotRequest) -> CommitRef:
        found, checkout = await checkouts.ours(self._git, request.worktree)
        async with found.exclusive():
            return await found.commit(await snapshots.taken(found, checkout, request))

    async def rebase(self, request: RebaseRequest) -> RebaseReply:
        """The new commits are made without touching a file; only then does the worktree move,
        and a move that was interrupted is finished by whatever act comes next."""
        found, checkout = await checkouts.ours(self._git, request.worktree)
        branch = request.worktree.branch
        onto = (await found.commit(request.onto.commit)).commit
        async with found.exclusive():
            if request.branch:
                await following.free(found, checkout, request.branch)
            head = await following.followed(found, checkout, branch)
            if not await found.contains(head, onto):
                index = await staging.staged(found, checkout, head)
                if await staging.tree_of(found, checkout, index) != (await found.commit(head)).tree:
                    raise AdapterError(
                        FailureKind.CONFLICT,
                        f"Rebasing {branch or 'the worktree'} in {checkout.root}: it holds changes "
                        "that are not committed; commit them first.",
                    )
                moved = await replaying.replayed(found, head, onto)
                if isinstance(moved, Conflicted):
                    return moved
                await following.move(found, checkout, branch, moved)
                head = moved
            if request.branch:
                await following.advance(found, request.branch, head)
        return Rebased(at=await found.commit(head))

    async def foreign(self, repo: str, branch: str, known: str | None) -> Foreign | None:
        found = await Repository.find(self._git, repo)
        await branches.check_name(found, branch)
        return None if known is None else await foreign.on_branch(found, branch, known)

    async def revert(self, request: RevertRequest) -> CommitRef:
        found = await Repository.find(self._git, request.repo)
        await branches.check_name(found, request.branch)
        async with found.exclusive():
            return await reverting.reverted(found, request)

    async def close(self, request: CloseWorktreeRequest) -> CloseWorktreeReply:
        worktree = request.worktree
        found = await Repository.find(self._git, worktree.repo)
        ref = committing.saved_ref(worktree.session)
        async with found.exclusive():
            here = real(Path(worktree.root))
            checkout = next((c for c in await found.checkouts() if c.root == here), None)
            if checkout is not None:
                checkouts.check_mark(checkout, checkouts.SESSION_MARK)
            await snapshots.drop(found, worktree, checkout)
            if checkout is not None:
                if checkout.whole:
                    await committing.save(found, checkout, worktree, ref)
                await checkouts.remove_files(here)
                if worktree.branch is not None and not request.keep_branch:
                    await branches.delete(found, checkout, worktree.branch)
                await checkouts.forget(checkout)
            if request.also:
                following.check_own(request.also)
                await branches.delete(found, None, request.also)
            saved = await found.named(ref)
        return CloseWorktreeReply(saved=ref if saved else None)

    # --- a clean checkout ----------------------------------------------------------------

    async def checkout(self, repo: str, commit: str, root: Path) -> None:
        found = await Repository.find(self._git, repo)
        at = await found.commit(commit)
        here = await checkouts.outside(found, root)
        async with found.exclusive():
            for checkout in await found.checkouts():
                if checkout.root == here:
                    checkouts.check_mark(checkout, checkouts.CHECKOUT_MARK)
                elif checkout.root is not None or checkout.mark != checkouts.CHECKOUT_MARK:
                    continue
                await checkouts.remove_files(checkout.root)
                await checkouts.forget(checkout)
            if (here / ".git").is_dir():
                raise checkouts.not_ours(here, "it is a repository of its own")
            await checkouts.remove_files(here)
            await checkouts.add(
                found, here, checkouts.CHECKOUT_MARK, "--detach", str(here), at.commit
            )

    async def discard(self, repo: str, root: Path) -> None:
        found = await Repository.find(self._git, repo)
        here = real(root)
        async with found.exclusive():
            for checkout in await found.checkouts():
                if checkout.root == here:
                    checkouts.check_mark(checkout, checkouts.CHECKOUT_MARK)
                    await checkouts.remove_files(here)
                    await checkouts.forget(checkout)
                    return
        if checkouts.exists(here):
            raise checkouts.not_ours(here, "it is not one of our checkouts")
