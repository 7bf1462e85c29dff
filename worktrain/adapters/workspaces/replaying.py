"""Rebasing in memory: the commits of a branch made again elsewhere, without touching a file."""

from worktrain.adapters.workspaces import committing
from worktrain.adapters.workspaces.git import printable, split
from worktrain.adapters.workspaces.repository import Repository
from worktrain.contracts.delivery import Conflicted
from worktrain.contracts.failure import FailureKind
from worktrain.contracts.workspace import CommitRef


async def replayed(found: Repository, head: str, onto: str) -> str | Conflicted:
    """The head's own commits made again on `onto`: the last one, or the files in conflict."""
    doing = f"Rebasing {head} onto {onto}"
    listed = await found.git.run(
        found.at,
        "rev-list",
        "--reverse",
        "--topo-order",
        "--no-merges",
        head,
        f"^{onto}",
        doing=doing,
    )
    tip = await found.commit(onto)
    for commit in listed.split():
        parent = await found.named(f"{commit}^")
        # A stand-in for the tip whose only parent is the commit's own: their merge base is
        # then that parent, and merging them is picking the commit.
        tree = await merged_tree(
            found, await stand_in(found, tip.tree, parent, doing), commit, doing
        )
        if isinstance(tree, Conflicted):
            return tree
        if tree == tip.tree:
            continue
        tip = CommitRef(commit=await _picked(found, commit, tree, tip.commit), tree=tree)
    return tip.commit


async def stand_in(found: Repository, tree: str, parent: str | None, doing: str) -> str:
    """A commit of a tree at a place of our choosing; nothing points at it."""
    made = await found.git.run(
        found.at,
        "commit-tree",
        tree,
        *(("-p", parent) if parent else ()),
        doing=doing,
        stdin=b"stand-in\n",
        config=await found.identity(),
    )
    return made.strip()


async def merged_tree(found: Repository, one: str, other: str, doing: str) -> str | Conflicted:
    """The tree of two commits merged, or the files in conflict."""
    merged = await found.git.attempt(
        found.at,
        "merge-tree",
        "--write-tree",
        "-z",
        "--name-only",
        "--no-messages",
        "--allow-unrelated-histories",
        one,
        other,
        doing=doing,
    )
    tree, *files = split(merged.text) or [""]
    if merged.code == 1:
        named = tuple(map(printable, dict.fromkeys(files)))
        return Conflicted(files=named[: committing.FILES_MAX])
    if merged.code != 0:
        raise found.git.failed(
            merged, FailureKind.MISCONFIGURED, doing, "git 2.38 or newer is needed"
        )
    return tree


async def _picked(found: Repository, commit: str, tree: str, parent: str) -> str:
    told = await found.git.run(
        found.at,
        "log",
        "--max-count=1",
        "--no-show-signature",
        "--date=raw",
        "--format=%an%x00%ae%x00%ad%x00%B",
        commit,
        doing=f"Reading {commit}",
    )
    name, email, date, message = told.split("\0", 3)
    author = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": email, "GIT_AUTHOR_DATE": date}
    return await committing.commit_tree(found, tree, (parent,), message.rstrip("\n") + "\n", author)
