"""Where a worktree stands: its HEAD, the commit its work started from, and a move to another."""

from pathlib import Path

from worktrain.adapters.workspaces.git import WHOLE, disk
from worktrain.adapters.workspaces.repository import Checkout, Repository
from worktrain.contracts.failure import AdapterError, FailureKind

# Refs that belong to one worktree and go with it: the commit that its work started from, and
# the commit that a rebase is moving it to.
START = "refs/worktree/worktrain/start"
MOVING = "refs/worktree/worktrain/moving"


async def settle(found: Repository, checkout: Checkout, branch: str | None) -> None:
    """Undo what an interrupted git left, and finish a move that was begun."""
    doing = f"Repairing the worktree {checkout.root}"
    with disk(doing):
        # Whoever held these is dead: we hold the lock that all our processes take.
        for stale in ("index.lock", "HEAD.lock"):
            (checkout.git_dir / stale).unlink(missing_ok=True)
    if checkout.busy:
        await found.git.run(checkout.at, "rebase", "--abort", doing=doing, config=WHOLE)
    moving = await found.named(MOVING, checkout.at)
    if moving is None:
        return
    if branch is not None:
        await found.git.run(
            checkout.at, "symbolic-ref", "HEAD", f"refs/heads/{branch}", doing=doing
        )
    await found.git.run(
        checkout.at, "reset", "--quiet", "--hard", moving, doing=doing, config=WHOLE
    )
    await point(found, checkout, START, moving)
    await found.git.run(checkout.at, "update-ref", "-d", MOVING, moving, doing=doing)


async def arrive(
    found: Repository, checkout: Checkout, branch: str | None, commit: str, index: Path
) -> None:
    """The worktree's HEAD, index and starting point agree with the branch."""
    doing = f"Finishing a commit in {checkout.root}"
    if branch is not None:
        await found.git.run(
            checkout.at, "symbolic-ref", "HEAD", f"refs/heads/{branch}", doing=doing
        )
    with disk(doing):
        _replace(index, checkout.git_dir / "index")
    await point(found, checkout, START, commit)


async def point(
    found: Repository, checkout: Checkout, ref: str, commit: str, expected: str | None = None
) -> None:
    """Make a ref name a commit; if `expected` is given, only when it names that one now."""
    await found.git.run(
        checkout.at,
        "update-ref",
        "--create-reflog",
        *(("--no-deref",) if ref == "HEAD" else ()),
        "-m",
        "worktrain",
        ref,
        commit,
        *((expected,) if expected else ()),
        doing=f"Pointing {ref} at {commit}",
        then="if a .lock file is named and no git is running, delete it",
    )


async def head_of(found: Repository, checkout: Checkout, branch: str | None) -> str:
    """The commit that the worktree's branch names. Raises conflict when the branch is gone."""
    head = await found.named(branch_ref(branch), checkout.at)
    if head is None:
        raise AdapterError(
            FailureKind.CONFLICT,
            f"The branch {branch or 'HEAD'} of the worktree {checkout.root} is gone; "
            f"`git reflog` in {found.common} may still have it.",
        )
    return head


def branch_ref(branch: str | None) -> str:
    """The ref of a session's branch; HEAD of its worktree when it has none."""
    return "HEAD" if branch is None else f"refs/heads/{branch}"


def _replace(old: Path, target: Path) -> None:
    old.replace(target)
