"""Files as they stand on a commit: which there are, and what is in them."""

from collections.abc import Sequence

from worktrain.adapters.workspaces.git import printable, split
from worktrain.adapters.workspaces.repository import Repository
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import CommitRef

READ_BYTES_MAX = 1_000_000


async def text(found: Repository, at: CommitRef, path: str) -> str | None:
    """One text file, or None when it is not there. Raises misconfigured when it is too large."""
    for _, blob, size in await _listed(found, at, (path,)):
        doing = f"Reading {path} as of {at.commit}"
        if size > READ_BYTES_MAX:
            raise AdapterError(
                FailureKind.MISCONFIGURED,
                f"{doing}: it has {size} bytes, at most {READ_BYTES_MAX} are read; shorten it.",
            )
        return printable(await found.git.run(found.at, "cat-file", "blob", blob, doing=doing))
    return None


async def texts(found: Repository, at: CommitRef, paths: Sequence[str]) -> dict[str, str]:
    """Those of the paths that are there and not too large, read in one go."""
    if not paths:
        return {}
    listed = [entry for entry in await _listed(found, at, paths) if entry[2] <= READ_BYTES_MAX]
    doing = f"Reading {len(listed)} files as of {at.commit}"
    blobs = "".join(f"{blob}\n" for _, blob, _ in listed)
    ran = await found.git.attempt(
        found.at, "cat-file", "--batch", doing=doing, stdin=blobs.encode()
    )
    if ran.code != 0 or ran.cut:
        raise found.git.failed(ran, FailureKind.CONFLICT, doing, "ask for fewer files at a time")
    read, begin = {}, 0
    for path, _, size in listed:
        # Each is a line with its id, kind and size, then its bytes, then a line break.
        facts, _, _ = ran.out[begin : begin + 100].partition(b"\n")
        begin += len(facts) + 1
        if not facts.endswith(f" blob {size}".encode()):
            raise AdapterError(
                FailureKind.CONFLICT,
                f"{doing}: {path} cannot be read; run `git fsck` in {found.common}.",
            )
        read[path] = ran.out[begin : begin + size].decode("utf-8", "replace")
        begin += size + 1
    return read


async def sizes(found: Repository, at: CommitRef, folders: Sequence[str]) -> dict[str, int]:
    """The regular files below the folders, or all, and their bytes."""
    listed = await _listed(found, at, folders, "-r")
    below = tuple(f"{folder}/" for folder in folders)
    return {path: size for path, _, size in sorted(listed) if not below or path.startswith(below)}


async def _listed(
    found: Repository, at: CommitRef, paths: Sequence[str], *flags: str
) -> list[tuple[str, str, int]]:
    """Path, blob and bytes of each regular file among the paths, or of all without one."""
    named = [path for path in paths if _is_plain(path)]
    if paths and not named:
        return []
    listed = await found.git.run(
        found.at,
        "ls-tree",
        "-z",
        "-l",
        "--full-tree",
        *flags,
        at.commit,
        "--",
        *named,
        doing=f"Listing the files of {at.commit}",
        env={"GIT_LITERAL_PATHSPECS": "1"},
    )
    files = []
    for entry in split(listed):
        facts, _, path = entry.partition("\t")
        mode, _, blob, size = facts.split()
        if mode.startswith("100"):
            files.append((printable(path), blob, int(size)))
    return files


def _is_plain(path: str) -> bool:
    """Whether it can be the path of a file: git takes others for patterns, or fails."""
    return "\0" not in path and not {"", ".", ".."} & set(path.split("/"))
