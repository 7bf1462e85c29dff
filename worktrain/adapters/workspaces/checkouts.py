"""Our checkouts of a repository: whose each is, making and adopting one, removing it."""

import asyncio
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from worktrain.adapters.workspaces import moving
from worktrain.adapters.workspaces.git import WHOLE, Git, disk
from worktrain.adapters.workspaces.repository import Checkout, Repository, real, resolved
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import Worktree, WorktreeRequest

SESSION_MARK = "worktrain "
CHECKOUT_MARK = "worktrain-checkout"


async def ours(git: Git, worktree: Worktree) -> tuple[Repository, Checkout]:
    """The session's worktree and its repository. Raises conflict when it is gone or not ours."""
    found = await Repository.find(git, worktree.repo)
    here = real(Path(worktree.root))
    for checkout in await found.checkouts():
        if checkout.root == here:
            check_mark(checkout, SESSION_MARK)
            if checkout.whole:
                return found, checkout
    raise AdapterError(
        FailureKind.CONFLICT,
        f"The worktree {here} of session {worktree.session} is gone; open it again.",
    )


async def existing(found: Repository, request: WorktreeRequest, here: Path) -> Checkout | None:
    """A whole worktree that serves the request; half-made ones in its way are removed."""
    for checkout in await found.checkouts():
        same_root = checkout.root == here
        same_branch = request.branch is not None and checkout.branch == request.branch
        same_session = checkout.mark == SESSION_MARK + request.session
        if not (same_root or same_branch or same_session):
            continue
        if not (checkout.mark or "").startswith(SESSION_MARK):
            if same_root:
                raise not_ours(here, "it is a worktree that WorkTrain did not make")
            raise AdapterError(
                FailureKind.MISCONFIGURED,
                f"Opening a worktree on {request.branch}: that branch is checked out in "
                f"{checkout.root}; switch that checkout to another branch, then resume.",
            )
        if checkout.whole:
            return checkout
        # Its checkout was never finished, so no session has worked in it.
        await remove_files(checkout.root)
        await forget(checkout)
    return None


async def make(found: Repository, request: WorktreeRequest, here: Path) -> Checkout:
    """A worktree for the session at `here`, around the files that are there already."""
    mark = SESSION_MARK + request.session
    where = await _start_words(found, request)
    with disk(f"Opening the worktree {here}"):
        here.parent.mkdir(parents=True, exist_ok=True)
        inhabited = _inhabited(here)
    if not inhabited:
        await add(found, here, mark, *where(here))
        return await _registered(found, here)
    if (here / ".git").is_dir():
        raise not_ours(here, "it is a repository of its own")
    # Files without a registration: somebody pruned it. A registration is made beside them
    # and, once it is whole, pointed at them, so that the work found there is kept.
    making = here.with_name(here.name + ".making")
    await remove_files(making)
    await add(found, making, mark, "--no-checkout", *where(making))
    made = await _registered(found, making)
    await found.git.run(made.at, "read-tree", "HEAD", doing=f"Adopting {here}", config=WHOLE)
    await moving.point(found, made, moving.START, await moving.head_of(found, made, None))
    with disk(f"Adopting the files in {here}"):
        (made.git_dir / "gitdir.worktrain").write_text(f"{here}/.git\n")
        (made.git_dir / "gitdir.worktrain").replace(made.git_dir / "gitdir")
        (here / ".git").unlink(missing_ok=True)
        link(here, made.git_dir)
    await remove_files(making)
    return await _registered(found, here)


async def _start_words(found: Repository, request: WorktreeRequest) -> "_Words":
    if request.branch is None:
        return _Words(("--detach",), ((await found.commit(request.at)).commit,))
    if await found.named(f"refs/heads/{request.branch}"):
        return _Words((), (request.branch,))
    at = await found.commit(request.at)
    return _Words(("--no-track", "-b", request.branch), (at.commit,))


class _Words:
    """The words of `git worktree add` around the path."""

    def __init__(self, before: tuple[str, ...], after: tuple[str, ...]) -> None:
        self._before = before
        self._after = after

    def __call__(self, path: Path) -> tuple[str, ...]:
        return (*self._before, str(path), *self._after)


async def add(found: Repository, here: Path, mark: str, *words: str) -> None:
    """Register and check out a worktree, marked from its first moment."""
    with disk(f"Making the worktree {here}"):
        here.parent.mkdir(parents=True, exist_ok=True)
    await found.git.run(
        found.at,
        "worktree",
        "add",
        "--quiet",
        "--lock",
        "--reason",
        mark,
        *words,
        doing=f"Making the worktree {here}",
        then="mend what git names, then resume",
        config=WHOLE,
    )


async def _registered(found: Repository, here: Path) -> Checkout:
    for checkout in await found.checkouts():
        if checkout.root == here:
            return checkout
    raise AdapterError(
        FailureKind.INTERNAL, f"Making the worktree {here}: git made it but does not list it."
    )


async def outside(found: Repository, root: Path) -> Path:
    """The real path of `root`. Raises misconfigured when it would touch the repository itself."""
    here = real(root)
    places = [place for place in (await found.main_root(), found.common) if place]
    inside = [place for place in places if _within(here, place)]
    around = [place for place in places if _within(place, here)]
    if inside or around:
        raise AdapterError(
            FailureKind.MISCONFIGURED,
            f"A worktree cannot be at {here}: it would stand in the way of the repository "
            f"{(inside or around)[0]}; choose a state directory outside it.",
        )
    return here


def check_mark(checkout: Checkout, mark: str) -> None:
    """Raises conflict when the checkout does not carry the mark."""
    if not (checkout.mark or "").startswith(mark):
        raise not_ours(checkout.root, "it does not carry our mark")


def not_ours(root: Path | None, why: str) -> AdapterError:
    """The error for a place that is not ours to touch."""
    return AdapterError(
        FailureKind.CONFLICT,
        f"{root} was left alone: {why}; move it away if WorkTrain is to use that place.",
    )


async def remove_files(root: Path | None) -> None:
    """Remove whatever stands at `root`, if anything does."""
    if root is not None:
        with disk(f"Removing {root}"):
            await asyncio.to_thread(_remove, root)


async def forget(checkout: Checkout) -> None:
    """Remove a linked worktree's registration."""
    # `git worktree remove` asks the `.git` file in the worktree who it is, which the agent
    # may have rewritten; `git worktree prune` would also take stale ones of the user.
    assert not checkout.main
    await remove_files(checkout.git_dir)


def _remove(root: Path) -> None:
    """Remove a tree that its owner may have made unreadable or very deep; links in it are not
    followed."""
    if root.is_symlink() or root.is_file():
        root.unlink()
        return
    try:
        with suppress(FileNotFoundError):
            shutil.rmtree(root)
    except (OSError, RecursionError):
        for words in (("chmod", "-R", "u+rwx"), ("rm", "-rf")):
            subprocess.run([*words, "--", root], check=False, capture_output=True)
        if root.exists():
            raise


def exists(path: Path) -> bool:
    """Whether anything stands there, a dangling link included."""
    return os.path.lexists(path)


def _inhabited(root: Path) -> bool:
    return root.is_dir() and not root.is_symlink() and any(root.iterdir())


def link(root: Path, git_dir: Path) -> None:
    """What git itself writes, for whoever runs git inside the worktree."""
    (root / ".git").write_text(f"gitdir: {git_dir}\n")


def _within(path: Path, folder: Path) -> bool:
    return real(path).is_relative_to(resolved(folder))
