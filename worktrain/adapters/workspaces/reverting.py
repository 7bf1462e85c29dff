"""Undoing a merge: a commit on a branch of its own, made without touching a file."""

from worktrain.adapters.workspaces import committing, following, replaying
from worktrain.adapters.workspaces.git import printable
from worktrain.adapters.workspaces.repository import Repository
from worktrain.contracts.delivery import Conflicted, RevertRequest
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import CommitRef


async def reverted(found: Repository, request: RevertRequest) -> CommitRef:
    """The commit on `request.branch` that undoes everything from `before` to `merged`, found
    again if an earlier attempt has made it. Raises conflict, with the branch not made: what came
    later builds on it, it is undone already, or the branch holds something else."""
    doing = f"Undoing {request.merged.commit} on {request.base.branch}"
    following.check_own(request.branch)
    head = await found.named(f"refs/heads/{request.branch}")
    if head is not None:
        if await committing.keyed(found, head, key_of(request)) == head:
            return await found.commit(head)
        raise taken(doing, request.branch)
    base = await found.commit(request.base.at.commit)
    if not await found.contains(base.commit, request.merged.commit):
        raise not_there(doing, request)
    tree = await _tree(found, request, base, doing)
    if tree == base.tree:
        raise undone_already(doing)
    message = committing.message(
        f'Revert "{await _subject(found, request.merged.commit)}"',
        f"{request.why.strip()}\n\nThis undoes everything from {request.before.commit} to "
        f"{request.merged.commit}.",
        key_of(request),
    )
    made = await committing.commit_tree(found, tree, (base.commit,), message)
    await following.advance(found, request.branch, made)
    return await found.commit(made)


def key_of(request: RevertRequest) -> str:
    """What a revert is found again by."""
    return f"revert/{request.pipeline}/{request.merged.commit}"


def taken(doing: str, branch: str) -> AdapterError:
    return AdapterError(
        FailureKind.CONFLICT,
        f"{doing}: the branch {branch} exists and is not the one that undoes it; rename or delete "
        "that branch, or revert by hand.",
    )


def not_there(doing: str, request: RevertRequest) -> AdapterError:
    return AdapterError(
        FailureKind.CONFLICT,
        f"{doing}: {request.base.at.commit} does not contain it, so there is nothing to undo; "
        "look at what happened to the branch.",
    )


def undone_already(doing: str) -> AdapterError:
    return AdapterError(
        FailureKind.CONFLICT,
        f"{doing}: it is undone already, by a later commit; look for another reason why the "
        "checks fail.",
    )


def clashing(doing: str, conflict: Conflicted) -> AdapterError:
    return AdapterError(
        FailureKind.CONFLICT,
        f"{doing}: later work has changed {', '.join(conflict.files)} as well, so it cannot be "
        "undone by itself; revert by hand, or mend what is red.",
    )


async def _tree(found: Repository, request: RevertRequest, base: CommitRef, doing: str) -> str:
    before = await found.commit(request.before.commit)
    merged = await found.commit(request.merged.commit)
    if base.commit == merged.commit:
        return before.tree
    # The merge base of both stand-ins is what was merged: their merge is what the base has
    # become, without the way from `before` to it.
    ours = await replaying.stand_in(found, base.tree, merged.commit, doing)
    theirs = await replaying.stand_in(found, before.tree, merged.commit, doing)
    tree = await replaying.merged_tree(found, ours, theirs, doing)
    if isinstance(tree, Conflicted):
        raise clashing(doing, tree)
    return tree


async def _subject(found: Repository, commit: str) -> str:
    told = await found.git.run(
        found.at,
        "log",
        "--max-count=1",
        "--no-show-signature",
        "--format=%s",
        commit,
        doing=f"Reading {commit}",
    )
    return printable(told).strip()[:200]
