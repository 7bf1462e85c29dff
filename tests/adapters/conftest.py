"""A real project in a real repository, with or without a bare origin, apart from the user's git."""

import os
import subprocess
from pathlib import Path

import pytest

from worktrain.adapters.workspaces.git import Git
from worktrain.adapters.workspaces.git_worktree import GitWorkspaces
from worktrain.contracts.delivery import CommitReply, CommitRequest, Committed
from worktrain.contracts.workspace import CommitRef, Worktree, WorktreeRequest


class Project:
    """One repository on disk, driven by the git program as its owner would."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.repo = place / "project"
        self.origin = place / "origin.git"
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(place / "home"),
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        (place / "home").mkdir(parents=True)
        self.runner = Git(environ=self.environ)
        self.workspaces = GitWorkspaces(self.runner)
        self.repo.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "Olive Owner")
        self.git("config", "user.email", "olive@example.invalid")

    def git(self, *args: str, at: Path | None = None) -> str:
        done = subprocess.run(
            ["git", "-C", str(at or self.repo), "-c", "core.hooksPath=/dev/null", *args],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def add(self, message: str, **files: str) -> str:
        """Commit files of the owner's checkout; `__` stands for a slash and `_` for a dot."""
        for name, content in files.items():
            write(self.repo / name.replace("__", "/").replace("_", "."), content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.head()

    def head(self, name: str = "HEAD", at: Path | None = None) -> str:
        return self.git("rev-parse", name, at=at)

    def files(self, commit: str) -> list[str]:
        return self.git("ls-tree", "-r", "--name-only", commit).splitlines()

    def with_origin(self) -> None:
        """Give it a bare origin that holds `main`."""
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.origin))
        self.git("remote", "add", "origin", str(self.origin))
        self.git("push", "--quiet", "origin", "main")

    def somebody_pushes(self, branch: str = "main", **files: str) -> str:
        """A commit that reaches the origin from another clone."""
        clone = self.place / "elsewhere"
        if not clone.exists():
            self.git("clone", "--quiet", str(self.origin), str(clone))
            self.git("config", "user.name", "Somebody", at=clone)
            self.git("config", "user.email", "somebody@example.invalid", at=clone)
        self.git("pull", "--quiet", "origin", branch, at=clone)
        for name, content in files.items():
            write(clone / name.replace("_", "."), content)
        self.git("add", "--all", at=clone)
        self.git("commit", "--quiet", "--message", "Somebody else's", at=clone)
        self.git("push", "--quiet", "origin", f"HEAD:{branch}", at=clone)
        return self.head(at=clone)

    async def open(
        self, session: str = "coding-1", branch: str | None = "work", at: str = "HEAD"
    ) -> Worktree:
        request = WorktreeRequest(
            session=session, repo=str(self.repo), at=self.head(at), branch=branch
        )
        return await self.workspaces.open(request, self.place / "trees" / session, "host")

    async def commit(
        self, worktree: Worktree, key: str = "k1", subject: str = "Change it"
    ) -> CommitReply:
        return await self.workspaces.commit(
            CommitRequest(worktree=worktree, key=key, subject=subject)
        )

    async def committed(self, worktree: Worktree, key: str = "k1") -> CommitRef:
        reply = await self.commit(worktree, key)
        assert isinstance(reply, Committed)
        return reply.at

    async def candidate(self, **files: str) -> CommitRef:
        """Work committed on the branch `work`, in a worktree that stays open."""
        worktree = await self.open()
        for name, content in files.items():
            write(Path(worktree.root) / name.replace("_", "."), content)
        return await self.committed(worktree)


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A repository whose `main` holds two files."""
    made = Project(tmp_path)
    made.add("First commit", a_txt="one\n", src__b_txt="two\n")
    return made
