"""The forge that is plain git: a remote to push to, or the repository itself."""

from worktrain.adapters.workspaces.following import advance, check_own, free
from worktrain.adapters.workspaces.git import Git, Ran, remote_failure
from worktrain.adapters.workspaces.repository import Checkout, Repository
from worktrain.contracts.delivery import BaseMoved, Merged, MergeReply, MergeRequest
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import Base

NOTES = "refs/notes/worktrain"
REVIEWS = "refs/notes/worktrain-reviews"
PUSHES_MAX = 3


class LocalGitForge:
    """`Forge` on the git program. Branches only ever move forward: nothing is forced."""

    def __init__(self, git: Git) -> None:
        self._git = git

    async def merge(self, request: MergeRequest) -> MergeReply:
        """A base that has moved on from the candidate has merged it too; the answer then names
        the candidate, because that is the tree that was proven."""
        found = await Repository.find(self._git, request.repo)
        old, candidate = request.base.at.commit, request.candidate.commit
        branch, remote = request.base.branch, request.base.remote
        # The candidate must be here whole before anything names it.
        await found.commit(candidate)
        async with found.exclusive("remote"):
            now = await self._now(found, branch, remote)
            if now == old and not await found.contains(candidate, old):
                raise AdapterError(
                    FailureKind.CONFLICT,
                    f"Merging {candidate} into {branch}: it does not build on {old}, which "
                    f"{branch} names; rebase it first.",
                )
            if now == old and now != candidate:
                if remote is None:
                    await self._advance(found, branch, old, candidate)
                else:
                    await self._push_branch(found, remote, branch, old, candidate)
                now = await self._now(found, branch, remote)
            if await found.contains(now, candidate):
                return Merged(at=await found.commit(candidate))
            return BaseMoved(now=await found.commit(now))

    async def merged(self, request: MergeRequest) -> Merged | None:
        found = await Repository.find(self._git, request.repo)
        candidate = await found.commit(request.candidate.commit)
        async with found.exclusive("remote"):
            now = await self._now(found, request.base.branch, request.base.remote)
        return Merged(at=candidate) if await found.contains(now, candidate.commit) else None

    async def publish(self, repo: str, base: Base, branch: str, commit: str) -> str:
        check_own(branch)
        found = await Repository.find(self._git, repo)
        at = (await found.commit(commit)).commit
        if base.remote is None:
            async with found.exclusive():
                if await found.named(f"refs/heads/{branch}") != at:
                    await free(found, None, branch)
                    await advance(found, branch, at)
            return f"{branch} in {repo}"
        doing, where = f"Pushing {at} to {branch} on {base.remote}", f"{branch} on {base.remote}"
        async with found.exclusive("remote"):
            if await self._holds(found, base.remote, branch, at):
                return where
            pushed = await self._push(found, base.remote, f"{at}:refs/heads/{branch}", doing)
            if pushed.code == 0 or await self._holds(found, base.remote, branch, at):
                return where
        if b"[rejected]" not in pushed.out:
            raise self._refused(pushed, doing)
        raise AdapterError(
            FailureKind.CONFLICT,
            f"{doing}: the branch holds something else there, and nothing was overwritten; "
            "rename or delete it, or publish by hand.",
        )

    async def post_review(self, repo: str, base: Base, commit: str, text: str) -> str:
        doing = f"Attaching a review to {commit}"
        return await self._attach(REVIEWS, repo, base, commit, text, doing)

    async def attach_note(self, repo: str, base: Base, commit: str, text: str) -> str:
        doing = f"Attaching the proof to {commit}"
        return await self._attach(NOTES, repo, base, commit, text, doing)

    async def read_note(self, repo: str, commit: str) -> str | None:
        """A note that only the remote has is fetched; a remote that cannot be reached has none."""
        found = await Repository.find(self._git, repo)
        note = await self._note(found, NOTES, commit)
        if note is None:
            try:
                remote = await found.remote()
                if remote is not None:
                    async with found.exclusive("remote"):
                        await found.fetched(remote, NOTES, _notes_of(remote, NOTES))
                    note = await self._note(found, _notes_of(remote, NOTES), commit)
            except AdapterError:
                return None
        return None if note is None else note.decode("utf-8", "surrogateescape")

    # --- branches ------------------------------------------------------------------------

    async def _now(self, found: Repository, branch: str, remote: str | None) -> str:
        if remote is None:
            now = await found.named(f"refs/heads/{branch}")
            where = str(found.common)
        else:
            now = await found.remote_branch(remote, branch)
            where = remote
        if now is None:
            raise AdapterError(
                FailureKind.MISCONFIGURED,
                f"Merging into {branch}: {where} has no such branch any more; create it again "
                "or name another base.",
            )
        return now

    async def _holds(self, found: Repository, remote: str, branch: str, commit: str) -> bool:
        head = await found.remote_branch(remote, branch)
        return head is not None and await found.contains(head, commit)

    async def _push_branch(
        self, found: Repository, remote: str, branch: str, old: str, candidate: str
    ) -> None:
        doing = f"Pushing {candidate} to {branch} on {remote}"
        pushed = await self._push(found, remote, f"{candidate}:refs/heads/{branch}", doing)
        if pushed.code == 0:
            return
        # Somebody was faster, or the answer to a push that worked was lost: the head says which.
        if await self._now(found, branch, remote) == old:
            raise self._refused(pushed, doing)

    async def _push(self, found: Repository, remote: str, what: str, doing: str) -> Ran:
        # `--no-verify`: the user's pre-push hook expects the user's checkout, and a person.
        return await self._git.attempt(
            found.at, "push", "--porcelain", "--no-verify", remote, what, doing=doing
        )

    def _refused(self, pushed: Ran, doing: str) -> AdapterError:
        if b"[remote rejected]" not in pushed.out:
            then = "check the network, the remote's URL and your access"
            return self._git.failed(pushed, remote_failure(pushed), doing, then)
        line = next(entry for entry in pushed.text.splitlines() if "[remote rejected]" in entry)
        why = line.partition("[remote rejected]")[2].strip(" ()")
        if "lock" in why or "failed to update ref" in why:
            kind, then = FailureKind.UNREACHABLE, "another push was going on; try again"
        else:
            kind = FailureKind.MISCONFIGURED
            then = "allow WorkTrain to push there, or merge by hand"
        told = f" ({pushed.why})" if pushed.why.startswith("remote:") else ""
        return AdapterError(kind, f"{doing}: the remote refused it: {why}{told}; {then}.")

    async def _advance(self, found: Repository, branch: str, old: str, candidate: str) -> None:
        doing = f"Merging {candidate} into {branch}"
        for checkout in await found.checkouts():
            if checkout.branch == branch:
                return await self._advance_checkout(found, checkout, branch, candidate)
        moved = await self._git.attempt(
            found.at,
            "update-ref",
            "-m",
            "worktrain: merge",
            f"refs/heads/{branch}",
            candidate,
            old,
            doing=doing,
        )
        if moved.code != 0 and await found.named(f"refs/heads/{branch}") == old:
            raise self._git.failed(moved, FailureKind.MISCONFIGURED, doing)
        return None

    async def _advance_checkout(
        self, found: Repository, checkout: Checkout, branch: str, candidate: str
    ) -> None:
        doing = f"Merging {candidate} into {branch}, which is checked out in {checkout.root}"
        if checkout.busy:
            raise AdapterError(
                FailureKind.MISCONFIGURED,
                f"{doing}: a rebase is going on there; finish or abort it, then resume.",
            )
        # Files and branch move together; changes that are not in the way are kept by git.
        await self._git.run(
            checkout.at,
            "merge",
            "--quiet",
            "--ff-only",
            "--no-squash",
            "--commit",
            "--no-stat",
            "--no-autostash",
            "--no-verify",
            "--no-verify-signatures",
            candidate,
            doing=doing,
            kind=FailureKind.MISCONFIGURED,
            then="commit, stash or move away what is uncommitted there, then resume",
        )

    # --- notes ---------------------------------------------------------------------------

    async def _attach(
        self, notes: str, repo: str, base: Base, commit: str, text: str, doing: str
    ) -> str:
        found = await Repository.find(self._git, repo)
        content = text.encode("utf-8", "surrogateescape")
        async with found.exclusive("remote"):
            if await self._note(found, notes, commit) != content:
                blob = await self._git.run(
                    found.at, "hash-object", "-w", "--stdin", doing=doing, stdin=content
                )
                # Only a blob given by its id is taken as it is; texts lose their blank lines.
                await self._git.run(
                    found.at,
                    "notes",
                    f"--ref={notes}",
                    "add",
                    "--force",
                    "-C",
                    blob.strip(),
                    commit,
                    doing=doing,
                    kind=FailureKind.MISCONFIGURED,
                    config=await found.identity(),
                )
            if base.remote is None:
                return notes
            await self._push_notes(found, base.remote, notes, doing)
        return f"{notes} on {base.remote}"

    async def _note(self, found: Repository, notes: str, commit: str) -> bytes | None:
        doing = f"Reading the note on {commit}"
        listed = await self._git.attempt(
            found.at, "notes", f"--ref={notes}", "list", commit, doing=doing
        )
        if listed.code != 0:
            return None
        content = await self._git.attempt(
            found.at, "cat-file", "blob", listed.text.strip(), doing=doing
        )
        return content.out if content.code == 0 else None

    async def _push_notes(self, found: Repository, remote: str, notes: str, doing: str) -> None:
        for _ in range(PUSHES_MAX):
            pushed = await self._push(found, remote, f"{notes}:{notes}", doing)
            if pushed.code == 0:
                return
            if b"[rejected]" not in pushed.out:
                raise self._refused(pushed, doing)
            # Others have added theirs. Both are kept; on one commit ours wins, byte for byte.
            theirs = await found.fetched(remote, notes, _notes_of(remote, notes))
            if theirs is not None:
                await self._git.run(
                    found.at,
                    "notes",
                    f"--ref={notes}",
                    "merge",
                    "--quiet",
                    "--strategy=ours",
                    _notes_of(remote, notes),
                    doing=doing,
                    kind=FailureKind.MISCONFIGURED,
                    config=await found.identity(),
                )
        raise AdapterError(
            FailureKind.UNREACHABLE,
            f"{doing}: {remote} took other notes first, {PUSHES_MAX} times; try again later.",
        )


def _notes_of(remote: str, notes: str) -> str:
    # `git notes` reads only below refs/notes.
    return f"{notes}-of/{remote}"
