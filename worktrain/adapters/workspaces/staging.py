"""What a commit of a worktree would hold.

A commit is made of the files alone, read into an index of our own, so neither the agent's index,
nor its own commits, nor repositories that it made can shape it:

* ignored files stay out, tracked ones stay in;
* the files of an embedded repository are committed as plain files, by its own ignore rules;
* a submodule of the project stays at its recorded commit, or goes when its folder is gone;
* commits that the agent made itself are folded into ours.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from worktrain.adapters.workspaces.git import WHOLE, At, disk, split
from worktrain.adapters.workspaces.repository import Checkout, Repository

_GITLINK = "160000"


async def staged(found: Repository, checkout: Checkout, start: str) -> Path:
    """An index of our own that holds what a commit on `start` would."""
    doing = f"Staging the files in {checkout.root}"
    index = checkout.git_dir / "worktrain-index"
    with disk(doing):
        for old in (index, index.with_name(index.name + ".lock")):
            old.unlink(missing_ok=True)
    env = {"GIT_INDEX_FILE": str(index)}
    assert checkout.root is not None

    async def git(*args: str, stdin: bytes | None = None) -> str:
        return await found.git.run(
            checkout.at, *args, doing=doing, stdin=stdin, env=env, config=WHOLE
        )

    await git("read-tree", start)
    links = _gitlinks(await git("ls-files", "--stage", "-z"))
    kept = [path for path in links if (checkout.root / path).is_dir()]
    others = split(await git("ls-files", "--others", "--exclude-standard", "-z"))
    embedded = [path.rstrip("/") for path in others if path.endswith("/")]
    paths = [":(top)", *(f":(top,exclude,literal){path}" for path in (*kept, *embedded))]
    await git("add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul", stdin=_joined(paths))
    files = await _embedded_files(found, checkout, embedded)
    await git("update-index", "-z", "--add", "--replace", "--stdin", stdin=_joined(files))
    # A repository that appeared in between would have been taken for a submodule.
    now = _gitlinks(await git("ls-files", "--stage", "-z"))
    strays = [path for path in now if now[path] != links.get(path)]
    if strays:
        await git("update-index", "-z", "--force-remove", "--stdin", stdin=_joined(strays))
    return index


async def _embedded_files(
    found: Repository, checkout: Checkout, folders: Iterable[str]
) -> list[str]:
    """The files of repositories inside the worktree that their own rules do not ignore."""
    assert checkout.root is not None
    files, left = [], list(folders)
    empty = {"GIT_INDEX_FILE": str(checkout.git_dir / "worktrain-no-index")}
    while left:
        folder = left.pop()
        listed = await found.git.run(
            At(checkout.git_dir, checkout.root / folder),
            "ls-files",
            "--others",
            "--exclude-standard",
            "-z",
            doing=f"Staging the files in {checkout.root / folder}",
            env=empty,
        )
        for path in split(listed):
            inner = f"{folder}/{path}"
            if path.endswith("/"):
                left.append(inner.rstrip("/"))
            else:
                files.append(inner)
    return files


async def tree_of(found: Repository, checkout: Checkout, index: Path) -> str:
    """The tree that an index holds, written to the repository."""
    tree = await found.git.run(
        checkout.at,
        "write-tree",
        doing=f"Staging the files in {checkout.root}",
        env={"GIT_INDEX_FILE": str(index)},
        config=WHOLE,
    )
    return tree.strip()


def _joined(paths: Iterable[str]) -> bytes:
    return b"".join(os.fsencode(path) + b"\0" for path in paths)


def _gitlinks(staged: str) -> dict[str, str]:
    entries = (entry.partition("\t") for entry in split(staged))
    return {path: what for what, _, path in entries if what.startswith(_GITLINK)}
