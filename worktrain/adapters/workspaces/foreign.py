"""Commits on a work branch that WorkTrain did not make, here and on the remote."""

from worktrain.adapters.workspaces.committing import KEY
from worktrain.adapters.workspaces.git import printable, split
from worktrain.adapters.workspaces.repository import Repository
from worktrain.contracts.delivery import Foreign

COMMITS_MAX = 1000
AUTHORS_MAX = 20
AUTHOR_CHARACTERS_MAX = 200


async def on_branch(found: Repository, branch: str, known: str) -> Foreign | None:
    """What somebody else did to a branch that we left at `known`. A copy on the remote that is
    merely behind, or that we have rewritten since, is nobody's work but ours."""
    here = await found.named(f"refs/heads/{branch}")
    if here is not None and (theirs := await beyond(found, here, known)):
        return theirs
    remote = await found.remote()
    if remote is None:
        return None
    async with found.exclusive("remote"):
        there = await found.remote_branch(remote, branch)
    if there is None or await found.contains(known, there):
        return None
    return None if there in await _tips(found, branch) else await beyond(found, there, known)


async def beyond(found: Repository, head: str, known: str) -> Foreign | None:
    """Whether `head` holds more than `known` and what we put on it, or has lost `known`."""
    left_at = (await found.commit(known)).commit
    if head == left_at:
        return None
    told = await found.git.run(
        found.at,
        "log",
        f"--max-count={COMMITS_MAX}",
        "--no-show-signature",
        "-z",
        f"--format=%an <%ae>%n%(trailers:key={KEY},valueonly,separator=%x20)",
        head,
        f"^{left_at}",
        "--",
        doing=f"Looking for commits of others between {left_at} and {head}",
    )
    made = [entry.partition("\n") for entry in split(told)]
    theirs = [author for author, _, key in made if not key.strip()]
    if not theirs and await found.contains(head, left_at):
        return None
    # One of ours that was amended still says that it is ours; then all that came is named.
    authors = dict.fromkeys(theirs or [author for author, _, _ in made])
    by = tuple(printable(author)[:AUTHOR_CHARACTERS_MAX] for author in authors)[:AUTHORS_MAX]
    return Foreign(head=await found.commit(head), by=by)


async def _tips(found: Repository, branch: str) -> list[str]:
    """Every commit that the branch here has named, as far as it is remembered."""
    listed = await found.git.attempt(
        found.at,
        "rev-list",
        "--walk-reflogs",
        f"refs/heads/{branch}",
        "--",
        doing=f"Reading where {branch} was",
    )
    return listed.text.split() if listed.code == 0 else []
