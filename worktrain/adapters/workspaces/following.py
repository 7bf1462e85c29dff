"""Branches that move without their worktree: others' commits are followed, never written over."""

from worktrain.adapters.workspaces import moving, staging
from worktrain.adapters.workspaces.repository import Checkout, Repository
from worktrain.contracts.failure import AdapterError, FailureKind

OWN = "worktrain/"
"""What the names of all branches begin with that WorkTrain makes and moves by itself."""


async def followed(found: Repository, checkout: Checkout, branch: str | None) -> str:
    """The head of the worktree's branch. Files that nobody changed since our last act are
    brought to where somebody else has moved the branch; any others are left as they are."""
    await moving.settle(found, checkout, branch)
    head = await moving.head_of(found, checkout, branch)
    start = await found.named(moving.START, checkout.at)
    if start is None or start == head or branch is None:
        return head
    index = await staging.staged(found, checkout, start)
    if await staging.tree_of(found, checkout, index) == (await found.commit(start)).tree:
        await move(found, checkout, branch, head)
    return head


async def move(found: Repository, checkout: Checkout, branch: str | None, to: str) -> None:
    """Bring a worktree and its branch to a commit, in a way that survives being cut short."""
    await moving.point(found, checkout, moving.MOVING, to)
    await moving.settle(found, checkout, branch)


async def free(found: Repository, checkout: Checkout | None, branch: str) -> None:
    """Raises misconfigured when the branch is not WorkTrain's own to move, or is checked out
    elsewhere than in `checkout`."""
    check_own(branch)
    for other in await found.checkouts():
        if other.branch == branch and (checkout is None or other.git_dir != checkout.git_dir):
            raise AdapterError(
                FailureKind.MISCONFIGURED,
                f"Moving {branch} forward: it is checked out in {other.root}, whose files would "
                "not move with it; switch that checkout to another branch, then resume.",
            )


async def advance(found: Repository, branch: str, to: str) -> None:
    """Make the branch contain a commit: create it or move it forward. Raises conflict when it
    holds something else by now."""
    ref = f"refs/heads/{branch}"
    head = await found.named(ref)
    if head is not None and await found.contains(head, to):
        return
    if head is not None and not await found.contains(to, head):
        raise AdapterError(
            FailureKind.CONFLICT,
            f"Moving {branch} forward to {to}: it names {head}, which that does not build on; "
            "nothing was overwritten. Look at who has moved it, and decide by hand.",
        )
    await found.git.run(
        found.at,
        "update-ref",
        "--create-reflog",
        "-m",
        "worktrain",
        ref,
        to,
        # Zeros: it must not exist yet.
        head or "0" * len(to),
        doing=f"Moving {branch} forward to {to}",
        then="if a .lock file is named and no git is running, delete it",
    )


def check_own(branch: str) -> None:
    """Raises misconfigured when the name is not one that WorkTrain gives to its branches."""
    if not branch.startswith(OWN):
        raise AdapterError(
            FailureKind.MISCONFIGURED,
            f"Moving {branch!r}: WorkTrain moves only branches of its own, named {OWN}…; give it "
            "such a name.",
        )
