"""Commits made of a staged tree: found again by their key, and uncommitted work that is saved."""

import re
from collections.abc import Sequence

from worktrain.adapters.workspaces import moving, staging
from worktrain.adapters.workspaces.git import printable, split
from worktrain.adapters.workspaces.repository import Checkout, Repository
from worktrain.contracts.base import digest
from worktrain.contracts.delivery import CommitRequest, Committed
from worktrain.contracts.failure import FailureKind
from worktrain.contracts.workspace import Worktree

KEY = "WorkTrain-Key"
FILES_MAX = 200


async def commit_tree(
    found: Repository,
    tree: str,
    parents: Sequence[str],
    message: str,
    author: dict[str, str] | None = None,
) -> str:
    """A commit with the owner's identity and signing settings; nothing points at it yet."""
    sign = await found.config("commit.gpgSign", "--type=bool") == "true"
    made = await found.git.run(
        found.at,
        "commit-tree",
        tree,
        *(word for parent in parents for word in ("-p", parent)),
        *(("-S",) if sign else ()),
        doing=f"Committing to {found.common}",
        kind=FailureKind.MISCONFIGURED,
        then="check user.name, user.email and the signing settings",
        stdin=message.encode("utf-8", "replace" if author is None else "surrogateescape"),
        env=author,
        config=await found.identity(),
    )
    return made.strip()


def message_of(request: CommitRequest) -> str:
    """The message of a session's commit."""
    return message(request.subject, request.body, request.key, request.trailers)


def message(subject: str, body: str, key: str, others: Sequence[tuple[str, str]] = ()) -> str:
    """The message of a commit of ours, its key among the trailers."""
    trailers = [*others, (KEY, key)]
    parts = [
        _line(subject) or "Work by WorkTrain",
        body.replace("\0", "").strip(),
        "\n".join(f"{re.sub(r'[^A-Za-z0-9-]', '-', k)}: {_line(v)}" for k, v in trailers),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


async def keyed(found: Repository, head: str, key: str) -> str | None:
    """The newest commit up to `head` that carries the key."""
    told = await found.git.run(
        found.at,
        "log",
        "--max-count=100",
        "--first-parent",
        "--no-show-signature",
        "-z",
        f"--format=%H %(trailers:key={KEY},valueonly,unfold,separator=%x0a)",
        head,
        doing=f"Looking for an earlier commit of {key}",
    )
    for entry in split(told):
        commit, _, keys = entry.partition(" ")
        if _line(key) in keys.splitlines():
            return commit
    return None


async def committed(found: Repository, commit: str) -> Committed:
    """A commit as it is answered, with up to 200 of its files."""
    listed = await found.git.run(
        found.at,
        "diff-tree",
        "--root",
        "--no-commit-id",
        "--name-only",
        "-r",
        "-z",
        commit,
        doing=f"Listing the files of {commit}",
    )
    files = tuple(map(printable, split(listed)))[:FILES_MAX]
    return Committed(at=await found.commit(commit), files=files)


async def save(found: Repository, checkout: Checkout, worktree: Worktree, ref: str) -> None:
    """Keep what is not committed, and whatever an earlier save holds."""
    if checkout.busy or await found.named(moving.MOVING, checkout.at):
        await moving.settle(found, checkout, worktree.branch)
    head = await found.named(moving.branch_ref(worktree.branch), checkout.at)
    start = head or await found.named(moving.START, checkout.at)
    if start is None:
        return
    index = await staging.staged(found, checkout, start)
    tree = await staging.tree_of(found, checkout, index)
    if tree == (await found.commit(start)).tree:
        return
    earlier = await found.named(ref)
    if earlier and (await found.commit(earlier)).tree == tree:
        return
    message = f"Uncommitted work of session {_line(worktree.session)}\n"
    parents = (start, earlier) if earlier else (start,)
    await moving.point(found, checkout, ref, await commit_tree(found, tree, parents, message))


def saved_ref(session: str) -> str:
    """Where the uncommitted work of a session is kept."""
    parts = [re.sub(r"[^A-Za-z0-9_.-]|\.\.+|^\.|\.$|\.lock$", "-", p) for p in session.split("/")]
    name = "/".join(part or "-" for part in parts)
    return f"refs/worktrain/saved/{name if name == session else f'{name}-{digest(session)[:8]}'}"


def _line(text: str) -> str:
    return " ".join(text.replace("\0", "").split())
