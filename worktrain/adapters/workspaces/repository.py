"""A repository as it is found on disk: its commits, its remote, its checkouts, its locks."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from worktrain.adapters.workspaces.git import At, Git, disk, remote_failure
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import CommitRef

HEAD_NAMES = ("rebase-merge/head-name", "rebase-apply/head-name")


@dataclass(frozen=True)
class Checkout:
    """One working tree of a repository, read from the repository's side."""

    git_dir: Path
    root: Path | None
    """None when its registration is half-made, or for a bare repository."""
    branch: str | None
    """Also while that branch is being rebased."""
    busy: bool = False
    """A rebase is in progress."""
    main: bool = False
    mark: str | None = None
    """The reason of its lock: who it belongs to."""

    @property
    def whole(self) -> bool:
        """Git writes the index last, so its checkout was finished once."""
        root = self.root
        return root is not None and root.is_dir() and (self.git_dir / "index").is_file()

    @property
    def at(self) -> At:
        return At(self.git_dir, self.root)


class Repository:
    """A repository on disk. `common` is the git directory that all its checkouts share."""

    def __init__(self, git: Git, common: Path) -> None:
        self.git = git
        self.common = common
        self.at = At(common)

    @classmethod
    async def find(cls, git: Git, path: str) -> "Repository":
        """The repository that a path lies in. Raises misconfigured when there is none."""
        found = await git.run(
            Path(path),
            "rev-parse",
            "--path-format=absolute",
            "--git-common-dir",
            doing=f"Looking for the repository at {path}",
            kind=FailureKind.MISCONFIGURED,
            then="give a path inside a git repository, or make one with `git init`",
        )
        return cls(git, resolved(Path(found.rstrip("\n"))))

    @asynccontextmanager
    async def exclusive(self, what: str = "worktrees") -> AsyncIterator[None]:
        """One at a time for this repository, over all processes."""
        async with self.git.exclusive(self.common / f"worktrain-{what}.lock"):
            yield

    async def named(self, name: str, at: At | None = None) -> str | None:
        """The full id of the commit that a name or id stands for, or None."""
        ran = await self.git.attempt(
            at or self.at,
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            f"{name}^{{commit}}",
            doing=f"Reading {name} in {self.common}",
        )
        return ran.text.strip() if ran.code == 0 else None

    async def commit(self, name: str) -> CommitRef:
        """A commit and its tree. Raises misconfigured when it is not there."""
        ids = await self.git.attempt(
            self.at,
            "rev-parse",
            "--verify",
            "--end-of-options",
            f"{name}^{{commit}}",
            doing=f"Reading {name}",
        )
        commit = ids.text.strip()
        if ids.code != 0:
            raise AdapterError(
                FailureKind.MISCONFIGURED,
                f"Reading commit {name}: it is not in {self.common}; fetch it, or check its name.",
            )
        tree = await self.git.run(
            self.at, "rev-parse", "--verify", f"{commit}^{{tree}}", doing=f"Reading {commit}"
        )
        return CommitRef(commit=commit, tree=tree.strip())

    async def contains(self, descendant: str, ancestor: str) -> bool:
        """Whether `ancestor` is `descendant` or in its history; False when it is unknown."""
        ran = await self.git.attempt(
            self.at,
            "merge-base",
            "--is-ancestor",
            ancestor,
            descendant,
            doing=f"Comparing {ancestor} with {descendant}",
        )
        return ran.code == 0

    async def config(self, key: str, *kind: str) -> str | None:
        """One setting as this repository's owner has it, or None."""
        ran = await self.git.attempt(
            self.at, "config", *kind, "--get", key, doing=f"Reading the setting {key}"
        )
        return ran.text.strip() if ran.code == 0 else None

    async def identity(self) -> tuple[str, ...]:
        """Settings that name a committer where the owner has not configured one."""
        missing = []
        if not await self.config("user.name"):
            missing.append("user.name=WorkTrain")
        if not await self.config("user.email"):
            missing.append("user.email=worktrain@localhost")
        return tuple(missing)

    async def remote(self) -> str | None:
        """The remote that work is merged to: `origin`, or the only one."""
        names = (
            await self.git.run(self.at, "remote", doing=f"Listing the remotes of {self.common}")
        ).split()
        if "origin" in names or not names:
            return "origin" if names else None
        if len(names) > 1:
            raise AdapterError(
                FailureKind.MISCONFIGURED,
                f"Choosing the remote of {self.common}: it has {', '.join(names)} and none is "
                "called origin; rename the one that work is merged to.",
            )
        return names[0]

    async def fetched(self, remote: str, ref: str, into: str) -> str | None:
        """What a ref of the remote names now, its objects brought here and kept by `into`; None
        when the remote has no such ref. Touches no branch and no tracking ref of the owner."""
        doing = f"Fetching {ref} from {remote} into {self.common}"
        ran = await self.git.attempt(
            self.at,
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-prune",
            "--no-write-fetch-head",
            "--refmap=",
            remote,
            f"+{ref}:{into}",
            doing=doing,
        )
        if ran.code == 0:
            found = await self.git.run(self.at, "rev-parse", "--verify", into, doing=doing)
            return found.strip()
        if "couldn't find remote ref" in ran.err.lower():
            return None
        raise self.git.failed(
            ran, remote_failure(ran), doing, "check the network, the remote's URL and your access"
        )

    async def remote_branch(self, remote: str, branch: str) -> str | None:
        """The head of a branch on the remote, its objects brought here, or None."""
        kept = quote(f"{remote}/{branch}", safe="")
        return await self.fetched(remote, f"refs/heads/{branch}", f"refs/worktrain/heads/{kept}")

    async def checkouts(self) -> tuple[Checkout, ...]:
        """The main checkout, then every linked worktree, half-made ones included."""
        main = await self._read(self.common, await self.main_root(), main=True)
        linked = []
        with disk(f"Reading the worktrees of {self.common}"):
            folder = self.common / "worktrees"
            entries = sorted(folder.iterdir()) if folder.is_dir() else []
            for git_dir in entries:
                dot_git = _line(git_dir / "gitdir")
                # Newer versions of git may write it relative to the registration.
                root = None if dot_git is None else (git_dir / dot_git).parent
                linked.append(await self._read(git_dir, root, main=False))
        return (main, *linked)

    async def main_root(self) -> Path | None:
        """The working tree that belongs to the repository itself; None for a bare one."""
        ran = await self.git.attempt(
            self.at,
            "config",
            "--null",
            "--get-regexp",
            r"^core\.(bare|worktree)$",
            doing=f"Reading the settings of {self.common}",
        )
        entries = (entry.partition("\n") for entry in ran.text.split("\0"))
        settings = {key: value for key, _, value in entries}
        if settings.get("core.bare", "false").lower() in ("true", "yes", "on", "1", ""):
            return None
        if settings.get("core.worktree"):
            return resolved(self.common / settings["core.worktree"])
        return self.common.parent if self.common.name == ".git" else None

    async def _read(self, git_dir: Path, root: Path | None, main: bool) -> Checkout:
        head = await self.git.attempt(
            At(git_dir), "symbolic-ref", "--quiet", "HEAD", doing=f"Reading HEAD of {git_dir}"
        )
        rebasing = next(filter(None, (_line(git_dir / name) for name in HEAD_NAMES)), None)
        ref = head.text.strip() if head.code == 0 else rebasing or ""
        return Checkout(
            git_dir=git_dir,
            root=None if root is None else real(root),
            branch=ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else None,
            busy=rebasing is not None,
            main=main,
            mark=_line(git_dir / "locked"),
        )


def resolved(path: Path) -> Path:
    """The path with every link in it followed."""
    return Path(os.path.realpath(path))


def real(root: Path) -> Path:
    """The path with its parent's links resolved, but not followed itself."""
    return resolved(root.parent) / root.name


def _line(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape").rstrip("\n") or None
    except (FileNotFoundError, NotADirectoryError):
        return None
