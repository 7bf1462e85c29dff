"""A session's work taken from its worktree onto its branch."""

from worktrain.adapters.workspaces import (
    committing,
    following,
    foreign,
    moving,
    replaying,
    staging,
)
from worktrain.adapters.workspaces.repository import Checkout, Repository
from worktrain.contracts.delivery import CommitReply, CommitRequest, Conflicted, NothingChanged
from worktrain.contracts.failure import AdapterError, FailureKind


async def taken(found: Repository, checkout: Checkout, request: CommitRequest) -> CommitReply:
    """Commit what the files have become since our last act; commits that the agent made itself
    are folded in. With `request.known`, nothing where others have worked on the branch; what is
    known of theirs is built upon."""
    branch, known = request.worktree.branch, request.known
    await moving.settle(found, checkout, branch)
    head = await moving.head_of(found, checkout, branch)
    start = await found.named(moving.START, checkout.at) or head
    if known is not None and branch is not None:
        theirs = await foreign.beyond(found, head, known)
        if theirs is not None:
            return theirs
    index = await staging.staged(found, checkout, start)
    tree = await staging.tree_of(found, checkout, index)
    keyed = await committing.keyed(found, head, request.key)
    if keyed == head and tree == (await found.commit(head)).tree:
        await moving.arrive(found, checkout, branch, head, index)
        return await committing.committed(found, head)
    if tree == (await found.commit(start)).tree:
        return await committing.committed(found, keyed) if keyed else NothingChanged()
    made = await committing.commit_tree(found, tree, (start,), committing.message_of(request))
    if head != start and head == known:
        return await _built_upon(found, checkout, request, made, head)
    await moving.point(found, checkout, moving.branch_ref(branch), made, head)
    await moving.arrive(found, checkout, branch, made, index)
    return await committing.committed(found, made)


async def _built_upon(
    found: Repository, checkout: Checkout, request: CommitRequest, made: str, head: str
) -> CommitReply:
    """Put the work on top of commits of others, which its files have never seen."""
    moved = await replaying.replayed(found, made, head)
    if isinstance(moved, Conflicted):
        raise AdapterError(
            FailureKind.CONFLICT,
            f"Committing the work of {request.key} on top of {head}, which somebody else put on "
            f"{request.worktree.branch}: both change {', '.join(moved.files)}. The work is as it "
            f"was, in {checkout.root}; bring the two together there by hand.",
        )
    await following.move(found, checkout, request.worktree.branch, moved)
    return await committing.committed(found, moved)
