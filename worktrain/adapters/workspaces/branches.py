"""Branches of a repository: the one that work starts from, and a session's own when it goes."""

import re
from pathlib import Path

from worktrain.adapters.workspaces.repository import Checkout, Repository
from worktrain.contracts.failure import AdapterError, FailureKind


async def default_branch(found: Repository, repo: str, remote: str | None) -> str:
    """What the remote calls its HEAD; without one, the branch that is checked out at `repo`."""
    doing = f"Finding the base branch of {repo}"
    if remote is not None:
        prefix = f"refs/remotes/{remote}/"
        known = await found.git.attempt(
            found.at, "symbolic-ref", "--quiet", f"{prefix}HEAD", doing=doing
        )
        if known.code == 0:
            return known.text.strip().removeprefix(prefix)
        asked = await found.git.attempt(
            found.at, "ls-remote", "--symref", remote, "HEAD", doing=doing
        )
        named = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", asked.text, re.MULTILINE)
        if named:
            return named[1]
    # Asked from the given path: in a linked worktree of the user, its own branch counts.
    current = await found.git.attempt(Path(repo), "symbolic-ref", "--quiet", "HEAD", doing=doing)
    if current.code != 0:
        raise AdapterError(
            FailureKind.MISCONFIGURED,
            f"{doing}: its HEAD is detached; switch to a branch, or name the base branch.",
        )
    return current.text.strip().removeprefix("refs/heads/")


async def check_name(found: Repository, branch: str) -> None:
    """Raises misconfigured when git would not take the name."""
    ran = await found.git.attempt(
        found.at, "check-ref-format", f"refs/heads/{branch}", doing=f"Checking {branch!r}"
    )
    if ran.code != 0 or branch.startswith("-"):
        raise AdapterError(
            FailureKind.MISCONFIGURED,
            f"{branch!r} cannot be the name of a git branch; choose another one.",
        )


async def missing(found: Repository, branch: str) -> AdapterError:
    """The error that names the branches there are."""
    listed = await found.git.run(
        found.at,
        "for-each-ref",
        "--count=10",
        "--format=%(refname:short)",
        "refs/heads",
        doing=f"Listing the branches of {found.common}",
    )
    names = ", ".join(listed.split())
    said = f"Reading the base branch: {found.common} "
    said += (
        f"has no branch {branch!r}; it has {names}: name one of them."
        if names
        else f"has no commits on {branch!r} or any other branch; make a first commit."
    )
    return AdapterError(FailureKind.MISCONFIGURED, said)


async def delete(found: Repository, checkout: Checkout | None, branch: str) -> None:
    """Delete a session's branch, unless another checkout than its own is on it."""
    own = checkout.git_dir if checkout is not None else None
    others = [c for c in await found.checkouts() if c.git_dir != own]
    head = await found.named(f"refs/heads/{branch}")
    if head is None or any(other.branch == branch for other in others):
        return
    await found.git.run(
        found.at,
        "update-ref",
        "-d",
        f"refs/heads/{branch}",
        head,
        doing=f"Deleting the branch {branch}",
    )
