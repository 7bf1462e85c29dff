"""Snapshots of a session's work while it goes on: commits that others start from."""

import re

from worktrain.adapters.workspaces import committing, moving, staging
from worktrain.adapters.workspaces.checkouts import SESSION_MARK
from worktrain.adapters.workspaces.repository import Checkout, Repository
from worktrain.contracts.base import digest
from worktrain.contracts.delivery import SnapshotRequest
from worktrain.contracts.workspace import Worktree


async def taken(found: Repository, checkout: Checkout, request: SnapshotRequest) -> str:
    """The commit of this snapshot, made unless an earlier attempt has made it."""
    branch = request.worktree.branch
    ref = snapshot_ref(_owner(checkout), request)
    earlier = await found.named(ref)
    if earlier is not None:
        return earlier
    if await found.named(moving.MOVING, checkout.at):
        await moving.settle(found, checkout, branch)
    # Commits that the agent made itself are folded in, as they will be when the work is taken.
    start = await found.named(moving.START, checkout.at)
    start = start or await moving.head_of(found, checkout, branch)
    index = await staging.staged(found, checkout, start)
    tree = await staging.tree_of(found, checkout, index)
    made = start
    if tree != (await found.commit(start)).tree:
        message = f"Snapshot {request.key} of session {request.worktree.session}\n"
        made = await committing.commit_tree(found, tree, (start,), message)
    await moving.point(found, checkout, ref, made)
    return made


async def drop(found: Repository, worktree: Worktree, checkout: Checkout | None) -> None:
    """Keep the snapshots of a worktree no longer."""
    doing = f"Dropping the snapshots of {worktree.session}"
    owners = (worktree.session, *((_owner(checkout),) if checkout else ()))
    folders = [folder_of(owner) for owner in owners]
    listed = await found.git.run(
        found.at, "for-each-ref", "--format=%(refname)", *folders, doing=doing
    )
    for ref in listed.split():
        await found.git.run(found.at, "update-ref", "-d", ref, doing=doing)


def snapshot_ref(owner: str, request: SnapshotRequest) -> str:
    """Where a snapshot is kept: by key, below the session that the worktree was made for, with
    which it goes. A session that took the worktree over is named in the key."""
    session = request.worktree.session
    key = request.key if session == owner else f"{session}/{request.key}"
    return f"{folder_of(owner)}{_part(key)}"


def folder_of(owner: str) -> str:
    """What the refs of all snapshots of a worktree begin with."""
    return f"refs/worktrain/snapshots/{_part(owner)}/"


def _part(name: str) -> str:
    """A name as one part of a ref's path: git cannot keep a ref below another ref."""
    plain = name.replace("/", "--") or "-"
    safe = re.sub(r"[^A-Za-z0-9_.-]|\.\.+|^\.|\.$|\.lock$", "-", plain)
    return safe if safe == plain and "--" not in name else f"{safe}-{digest(name)[:8]}"


def _owner(checkout: Checkout) -> str:
    return (checkout.mark or "").removeprefix(SESSION_MARK)
