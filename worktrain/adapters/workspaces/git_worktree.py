"""Workspaces on real git worktrees, each locked with a reason that says whose it is.

Git never looks for its repository from inside a worktree: the agent owns what stands there, its
`.git` included. A commit is made of the files alone, read into an index of our own, so neither
the agent's index, nor its own commits, nor repositories that it made can shape it:

* ignored files stay out, tracked ones stay in;
* the files of an embedded repository are committed as plain files, by its own ignore rules;
* a submodule of the project stays at its recorded commit, or goes when its folder is gone;
* commits that the agent made itself are folded into ours.
"""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from worktrain.adapters.workspaces.git import (
    At,
    Checkout,
    Git,
    Repository,
    disk,
    printable,
    real,
    resolved,
)
from worktrain.contracts.base import digest
from worktrain.contracts.delivery import (
    CloseWorktreeReply,
    CloseWorktreeRequest,
    CommitReply,
    CommitRequest,
    Committed,
    Conflicted,
    NothingChanged,
    Rebased,
    RebaseReply,
    RebaseRequest,
)
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import Base, CommitRef, Worktree, WorktreeRequest

KEY = "WorkTrain-Key"
SESSION_MARK = "worktrain "
CHECKOUT_MARK = "worktrain-checkout"
FILE_CHARACTERS_MAX = 8_000
DIFF_CHARACTERS_MAX = 100_000
NAMES_CHARACTERS_MAX = 20_000
FILES_MAX = 200
READ_BYTES_MAX = 1_000_000

# Refs that belong to one worktree and go with it: the commit that its work started from, and
# the commit that a rebase is moving it to.
START = "refs/worktree/worktrain/start"
MOVING = "refs/worktree/worktrain/moving"

_WHOLE = ("core.sparseCheckout=false", "core.splitIndex=false")
_GITLINK = "160000"


class GitWorkspaces:
    """`Workspaces` on the git program (2.38 or newer)."""

    def __init__(self, git: Git) -> None:
        self._git = git

    # --- reading the repository ----------------------------------------------------------

    async def base(self, repo: str, branch: str | None) -> Base:
        found = await Repository.find(self._git, repo)
        remote = await found.remote()
        name = branch or await self._default_branch(found, repo, remote)
        await self._check_branch(found, name)
        if remote is None:
            head = await found.named(f"refs/heads/{name}")
            if head is None:
                raise await self._no_branch(found, name)
        else:
            async with found.exclusive("remote"):
                head = await found.remote_branch(remote, name)
            if head is None:
                raise AdapterError(
                    FailureKind.MISCONFIGURED,
                    f"Reading the base branch: {remote} has no branch {name!r}; push it with "
                    f"`git push {remote} {name}`, or name another base.",
                )
        return Base(branch=name, at=await found.commit(head), remote=remote)

    async def changed(self, repo: str) -> tuple[str, ...]:
        found = await Repository.find(self._git, repo)
        main = (await found.checkouts())[0]
        if main.root is None:
            return ()
        listed = await self._git.run(
            main.at,
            "status",
            "--porcelain=v1",
            "-z",
            "--no-renames",
            "--untracked-files=normal",
            "--ignore-submodules=all",
            doing=f"Looking for uncommitted changes in {main.root}",
        )
        return tuple(printable(entry[3:]) for entry in _split(listed))

    async def read(self, repo: str, commit: str, path: str) -> str | None:
        found = await Repository.find(self._git, repo)
        at = await found.commit(commit)
        doing = f"Reading {path} as of {at.commit}"
        listed = await self._git.run(
            found.at,
            "ls-tree",
            "-z",
            "-l",
            "--full-tree",
            at.commit,
            "--",
            path,
            doing=doing,
            env={"GIT_LITERAL_PATHSPECS": "1"},
        )
        for entry in _split(listed):
            mode, _, blob, size = entry.partition("\t")[0].split()
            if not mode.startswith("100"):
                continue
            if int(size) > READ_BYTES_MAX:
                raise AdapterError(
                    FailureKind.MISCONFIGURED,
                    f"{doing}: it has {size} bytes, at most {READ_BYTES_MAX} are read; shorten it.",
                )
            text = await self._git.run(found.at, "cat-file", "blob", blob, doing=doing)
            return printable(text)
        return None

    async def log(self, repo: str, commit: str, count: int) -> str:
        found = await Repository.find(self._git, repo)
        at = await found.commit(commit)
        text = await self._git.run(
            found.at,
            "log",
            f"--max-count={count}",
            "--no-show-signature",
            "--format=%h %s",
            at.commit,
            "--",
            doing=f"Reading the newest commits up to {at.commit}",
        )
        return "\n".join(line[:200] for line in printable(text).splitlines())

    async def tree(self, repo: str, commit: str) -> CommitRef:
        return await (await Repository.find(self._git, repo)).commit(commit)

    async def diff(self, repo: str, base: str, candidate: str) -> str:
        """Against the point where the candidate left the base, so that what the base has gained
        since is not shown as taken away. The names of what is not shown come on top of the
        100,000 characters, up to 20,000 more."""
        found = await Repository.find(self._git, repo)
        at, to = await found.commit(base), await found.commit(candidate)
        doing = f"Comparing {at.commit} with {to.commit}"
        fork = await self._git.attempt(found.at, "merge-base", at.commit, to.commit, doing=doing)
        ends = (fork.text.strip() or at.commit, to.commit)
        # Attributes of the candidate are not consulted here: one of them could declare its own
        # code binary and so keep it from the reviewer.
        patch = await self._git.attempt(
            found.at,
            "diff-tree",
            "-r",
            "-p",
            "-M",
            "--no-ext-diff",
            "--no-textconv",
            "--submodule=short",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            *ends,
            doing=doing,
            out_bytes_max=16_000_000,
        )
        if patch.code != 0:
            raise self._git.failed(patch, FailureKind.CONFLICT, doing)
        sections = [
            (_named_in(part), "diff --git " + part)
            for part in re.split(r"^diff --git ", printable(patch.text), flags=re.MULTILINE)[1:]
        ]
        if not patch.cut:
            return shortened(sections)
        listed = await self._git.run(
            found.at, "diff-tree", "-r", "-z", "--name-only", *ends, doing=doing
        )
        seen = {name for name, _ in sections}
        return shortened(sections, [n for n in map(printable, _split(listed)) if n not in seen])

    # --- a session's worktree ------------------------------------------------------------

    async def open(self, request: WorktreeRequest, root: Path, queue: str) -> Worktree:
        found = await Repository.find(self._git, request.repo)
        if request.branch is not None:
            await self._check_branch(found, request.branch)
        here = await self._outside(found, root)
        async with found.exclusive():
            checkout = await self._existing(found, request, here)
            if checkout is None:
                checkout = await self._made(found, request, here)
            await self._settle(found, checkout, request.branch)
            if await found.named(START, checkout.at) is None:
                await self._point(checkout, START, await self._head(found, checkout, None))
            assert checkout.root is not None
            with disk(f"Opening the worktree {checkout.root}"):
                if not _exists(checkout.root / ".git"):
                    _link(checkout.root, checkout.git_dir)
        return Worktree(
            session=request.session,
            repo=request.repo,
            root=str(checkout.root),
            branch=request.branch,
            queue=queue,
        )

    async def commit(self, request: CommitRequest) -> CommitReply:
        found, checkout = await self._ours(request.worktree)
        branch = request.worktree.branch
        async with found.exclusive():
            await self._settle(found, checkout, branch)
            head = await self._head(found, checkout, branch)
            start = await found.named(START, checkout.at) or head
            index = await self._staged(checkout, start)
            tree = await self._tree(checkout, index)
            keyed = await self._keyed(found, head, request.key)
            if keyed == head and tree == (await found.commit(head)).tree:
                await self._arrived(checkout, branch, head, index)
                return await self._committed(found, head)
            if tree == (await found.commit(start)).tree:
                return await self._committed(found, keyed) if keyed else NothingChanged()
            made = await self._commit(found, tree, (start,), _message(request))
            await self._point(checkout, _branch_ref(branch), made, head)
            await self._arrived(checkout, branch, made, index)
            return await self._committed(found, made)

    async def rebase(self, request: RebaseRequest) -> RebaseReply:
        """The new commits are made without touching a file; only then does the worktree move,
        and a move that was interrupted is finished by whatever act comes next."""
        found, checkout = await self._ours(request.worktree)
        branch = request.worktree.branch
        onto = (await found.commit(request.onto.commit)).commit
        async with found.exclusive():
            await self._settle(found, checkout, branch)
            head = await self._head(found, checkout, branch)
            if await found.contains(head, onto):
                return Rebased(at=await found.commit(head))
            index = await self._staged(checkout, head)
            if await self._tree(checkout, index) != (await found.commit(head)).tree:
                raise AdapterError(
                    FailureKind.CONFLICT,
                    f"Rebasing {branch or 'the worktree'} in {checkout.root}: it holds changes "
                    "that are not committed; commit them first.",
                )
            moved = await self._replayed(found, head, onto)
            if isinstance(moved, Conflicted):
                return moved
            await self._point(checkout, MOVING, moved)
            await self._settle(found, checkout, branch)
        return Rebased(at=await found.commit(moved))

    async def close(self, request: CloseWorktreeRequest) -> CloseWorktreeReply:
        worktree = request.worktree
        found = await Repository.find(self._git, worktree.repo)
        ref = saved_ref(worktree.session)
        async with found.exclusive():
            here = real(Path(worktree.root))
            checkout = next((c for c in await found.checkouts() if c.root == here), None)
            if checkout is not None:
                self._check_mark(checkout, SESSION_MARK)
                if _whole(checkout):
                    await self._save(found, checkout, worktree, ref)
                await self._remove_files(here)
                if worktree.branch is not None and not request.keep_branch:
                    await self._delete_branch(found, checkout, worktree.branch)
                await self._forget(checkout)
            saved = await found.named(ref)
        return CloseWorktreeReply(saved=ref if saved else None)

    # --- a clean checkout ----------------------------------------------------------------

    async def checkout(self, repo: str, commit: str, root: Path) -> None:
        found = await Repository.find(self._git, repo)
        at = await found.commit(commit)
        here = await self._outside(found, root)
        async with found.exclusive():
            for checkout in await found.checkouts():
                if checkout.root == here:
                    self._check_mark(checkout, CHECKOUT_MARK)
                elif checkout.root is not None or checkout.mark != CHECKOUT_MARK:
                    continue
                await self._remove_files(checkout.root)
                await self._forget(checkout)
            if (here / ".git").is_dir():
                raise _not_ours(here, "it is a repository of its own")
            await self._remove_files(here)
            await self._add(found, here, CHECKOUT_MARK, "--detach", str(here), at.commit)

    async def discard(self, repo: str, root: Path) -> None:
        found = await Repository.find(self._git, repo)
        here = real(root)
        async with found.exclusive():
            for checkout in await found.checkouts():
                if checkout.root == here:
                    self._check_mark(checkout, CHECKOUT_MARK)
                    await self._remove_files(here)
                    await self._forget(checkout)
                    return
        if _exists(here):
            raise _not_ours(here, "it is not one of our checkouts")

    # --- branches ------------------------------------------------------------------------

    async def _default_branch(self, found: Repository, repo: str, remote: str | None) -> str:
        doing = f"Finding the base branch of {repo}"
        if remote is not None:
            prefix = f"refs/remotes/{remote}/"
            known = await self._git.attempt(
                found.at, "symbolic-ref", "--quiet", f"{prefix}HEAD", doing=doing
            )
            if known.code == 0:
                return known.text.strip().removeprefix(prefix)
            asked = await self._git.attempt(
                found.at, "ls-remote", "--symref", remote, "HEAD", doing=doing
            )
            named = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", asked.text, re.MULTILINE)
            if named:
                return named[1]
        # Asked from the given path: in a linked worktree of the user, its own branch counts.
        current = await self._git.attempt(
            Path(repo), "symbolic-ref", "--quiet", "HEAD", doing=doing
        )
        if current.code != 0:
            raise AdapterError(
                FailureKind.MISCONFIGURED,
                f"{doing}: its HEAD is detached; switch to a branch, or name the base branch.",
            )
        return current.text.strip().removeprefix("refs/heads/")

    async def _check_branch(self, found: Repository, branch: str) -> None:
        ran = await self._git.attempt(
            found.at, "check-ref-format", f"refs/heads/{branch}", doing=f"Checking {branch!r}"
        )
        if ran.code != 0 or branch.startswith("-"):
            raise AdapterError(
                FailureKind.MISCONFIGURED,
                f"{branch!r} cannot be the name of a git branch; choose another one.",
            )

    async def _no_branch(self, found: Repository, branch: str) -> AdapterError:
        listed = await self._git.run(
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

    async def _delete_branch(self, found: Repository, checkout: Checkout, branch: str) -> None:
        others = [c for c in await found.checkouts() if c.git_dir != checkout.git_dir]
        head = await found.named(f"refs/heads/{branch}")
        if head is None or any(other.branch == branch for other in others):
            return
        await self._git.run(
            found.at,
            "update-ref",
            "-d",
            f"refs/heads/{branch}",
            head,
            doing=f"Deleting the branch {branch}",
        )

    # --- finding and making worktrees ----------------------------------------------------

    async def _ours(self, worktree: Worktree) -> tuple[Repository, Checkout]:
        found = await Repository.find(self._git, worktree.repo)
        here = real(Path(worktree.root))
        for checkout in await found.checkouts():
            if checkout.root == here:
                self._check_mark(checkout, SESSION_MARK)
                if _whole(checkout):
                    return found, checkout
        raise AdapterError(
            FailureKind.CONFLICT,
            f"The worktree {here} of session {worktree.session} is gone; open it again.",
        )

    async def _existing(
        self, found: Repository, request: WorktreeRequest, here: Path
    ) -> Checkout | None:
        """A whole worktree that serves the request; half-made ones in its way are removed."""
        for checkout in await found.checkouts():
            same_root = checkout.root == here
            same_branch = request.branch is not None and checkout.branch == request.branch
            same_session = checkout.mark == SESSION_MARK + request.session
            if not (same_root or same_branch or same_session):
                continue
            if not (checkout.mark or "").startswith(SESSION_MARK):
                if same_root:
                    raise _not_ours(here, "it is a worktree that WorkTrain did not make")
                raise AdapterError(
                    FailureKind.MISCONFIGURED,
                    f"Opening a worktree on {request.branch}: that branch is checked out in "
                    f"{checkout.root}; switch that checkout to another branch, then resume.",
                )
            if _whole(checkout):
                return checkout
            # Its checkout was never finished, so no session has worked in it.
            await self._remove_files(checkout.root)
            await self._forget(checkout)
        return None

    async def _made(self, found: Repository, request: WorktreeRequest, here: Path) -> Checkout:
        mark = SESSION_MARK + request.session
        where = await self._start_words(found, request)
        with disk(f"Opening the worktree {here}"):
            here.parent.mkdir(parents=True, exist_ok=True)
            inhabited = _inhabited(here)
        if not inhabited:
            await self._add(found, here, mark, *where(here))
            return await self._registered(found, here)
        if (here / ".git").is_dir():
            raise _not_ours(here, "it is a repository of its own")
        # Files without a registration: somebody pruned it. A registration is made beside them
        # and, once it is whole, pointed at them, so that the work found there is kept.
        making = here.with_name(here.name + ".making")
        await self._remove_files(making)
        await self._add(found, making, mark, "--no-checkout", *where(making))
        made = await self._registered(found, making)
        await self._git.run(made.at, "read-tree", "HEAD", doing=f"Adopting {here}", config=_WHOLE)
        await self._point(made, START, await self._head(found, made, None))
        with disk(f"Adopting the files in {here}"):
            (made.git_dir / "gitdir.worktrain").write_text(f"{here}/.git\n")
            _replace(made.git_dir / "gitdir.worktrain", made.git_dir / "gitdir")
            (here / ".git").unlink(missing_ok=True)
            _link(here, made.git_dir)
        await self._remove_files(making)
        return await self._registered(found, here)

    async def _start_words(self, found: Repository, request: WorktreeRequest) -> "_Words":
        if request.branch is None:
            return _Words(("--detach",), ((await found.commit(request.at)).commit,))
        if await found.named(f"refs/heads/{request.branch}"):
            return _Words((), (request.branch,))
        at = await found.commit(request.at)
        return _Words(("--no-track", "-b", request.branch), (at.commit,))

    async def _add(self, found: Repository, here: Path, mark: str, *words: str) -> None:
        with disk(f"Making the worktree {here}"):
            here.parent.mkdir(parents=True, exist_ok=True)
        await self._git.run(
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
            config=_WHOLE,
        )

    async def _registered(self, found: Repository, here: Path) -> Checkout:
        for checkout in await found.checkouts():
            if checkout.root == here:
                return checkout
        raise AdapterError(
            FailureKind.INTERNAL, f"Making the worktree {here}: git made it but does not list it."
        )

    async def _outside(self, found: Repository, root: Path) -> Path:
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

    def _check_mark(self, checkout: Checkout, mark: str) -> None:
        if not (checkout.mark or "").startswith(mark):
            raise _not_ours(checkout.root, "it does not carry our mark")

    async def _remove_files(self, root: Path | None) -> None:
        if root is not None:
            with disk(f"Removing {root}"):
                await asyncio.to_thread(_remove, root)

    async def _forget(self, checkout: Checkout) -> None:
        # `git worktree remove` asks the `.git` file in the worktree who it is, which the agent
        # may have rewritten; `git worktree prune` would also take stale ones of the user.
        assert not checkout.main
        await self._remove_files(checkout.git_dir)

    # --- moving a worktree ---------------------------------------------------------------

    async def _settle(self, found: Repository, checkout: Checkout, branch: str | None) -> None:
        """Undo what an interrupted git left, and finish a move that was begun."""
        doing = f"Repairing the worktree {checkout.root}"
        with disk(doing):
            # Whoever held these is dead: we hold the lock that all our processes take.
            for stale in ("index.lock", "HEAD.lock"):
                (checkout.git_dir / stale).unlink(missing_ok=True)
        if checkout.busy:
            await self._git.run(checkout.at, "rebase", "--abort", doing=doing, config=_WHOLE)
        moving = await found.named(MOVING, checkout.at)
        if moving is None:
            return
        if branch is not None:
            await self._git.run(
                checkout.at, "symbolic-ref", "HEAD", f"refs/heads/{branch}", doing=doing
            )
        await self._git.run(
            checkout.at, "reset", "--quiet", "--hard", moving, doing=doing, config=_WHOLE
        )
        await self._point(checkout, START, moving)
        await self._git.run(checkout.at, "update-ref", "-d", MOVING, moving, doing=doing)

    async def _arrived(
        self, checkout: Checkout, branch: str | None, commit: str, index: Path
    ) -> None:
        """The worktree's HEAD, index and starting point agree with the branch."""
        doing = f"Finishing a commit in {checkout.root}"
        if branch is not None:
            await self._git.run(
                checkout.at, "symbolic-ref", "HEAD", f"refs/heads/{branch}", doing=doing
            )
        with disk(doing):
            _replace(index, checkout.git_dir / "index")
        await self._point(checkout, START, commit)

    async def _point(
        self, checkout: Checkout, ref: str, commit: str, expected: str | None = None
    ) -> None:
        await self._git.run(
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

    async def _head(self, found: Repository, checkout: Checkout, branch: str | None) -> str:
        head = await found.named(_branch_ref(branch), checkout.at)
        if head is None:
            raise AdapterError(
                FailureKind.CONFLICT,
                f"The branch {branch or 'HEAD'} of the worktree {checkout.root} is gone; "
                f"`git reflog` in {found.common} may still have it.",
            )
        return head

    async def _replayed(self, found: Repository, head: str, onto: str) -> str | Conflicted:
        doing = f"Rebasing {head} onto {onto}"
        listed = await self._git.run(
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
            stand_in = await self._git.run(
                found.at,
                "commit-tree",
                tip.tree,
                *(("-p", parent) if parent else ()),
                doing=doing,
                stdin=b"stand-in\n",
                config=await found.identity(),
            )
            merged = await self._git.attempt(
                found.at,
                "merge-tree",
                "--write-tree",
                "-z",
                "--name-only",
                "--no-messages",
                "--allow-unrelated-histories",
                stand_in.strip(),
                commit,
                doing=doing,
            )
            tree, *files = _split(merged.text) or [""]
            if merged.code == 1:
                return Conflicted(files=tuple(map(printable, dict.fromkeys(files)))[:FILES_MAX])
            if merged.code != 0:
                raise self._git.failed(
                    merged, FailureKind.MISCONFIGURED, doing, "git 2.38 or newer is needed"
                )
            if tree == tip.tree:
                continue
            tip = CommitRef(commit=await self._picked(found, commit, tree, tip.commit), tree=tree)
        return tip.commit

    async def _picked(self, found: Repository, commit: str, tree: str, parent: str) -> str:
        told = await self._git.run(
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
        return await self._commit(found, tree, (parent,), message.rstrip("\n") + "\n", author)

    # --- staging and committing ----------------------------------------------------------

    async def _staged(self, checkout: Checkout, start: str) -> Path:
        """An index of our own that holds what a commit on `start` would."""
        doing = f"Staging the files in {checkout.root}"
        index = checkout.git_dir / "worktrain-index"
        with disk(doing):
            for old in (index, index.with_name(index.name + ".lock")):
                old.unlink(missing_ok=True)
        env = {"GIT_INDEX_FILE": str(index)}
        assert checkout.root is not None

        async def git(*args: str, stdin: bytes | None = None) -> str:
            return await self._git.run(
                checkout.at, *args, doing=doing, stdin=stdin, env=env, config=_WHOLE
            )

        await git("read-tree", start)
        links = _gitlinks(await git("ls-files", "--stage", "-z"))
        kept = [path for path in links if (checkout.root / path).is_dir()]
        others = _split(await git("ls-files", "--others", "--exclude-standard", "-z"))
        embedded = [path.rstrip("/") for path in others if path.endswith("/")]
        paths = [":(top)", *(f":(top,exclude,literal){path}" for path in (*kept, *embedded))]
        await git(
            "add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul", stdin=_joined(paths)
        )
        files = await self._embedded_files(checkout, embedded)
        await git("update-index", "-z", "--add", "--replace", "--stdin", stdin=_joined(files))
        # A repository that appeared in between would have been taken for a submodule.
        now = _gitlinks(await git("ls-files", "--stage", "-z"))
        strays = [path for path in now if now[path] != links.get(path)]
        if strays:
            await git("update-index", "-z", "--force-remove", "--stdin", stdin=_joined(strays))
        return index

    async def _embedded_files(self, checkout: Checkout, folders: Iterable[str]) -> list[str]:
        """The files of repositories inside the worktree that their own rules do not ignore."""
        assert checkout.root is not None
        files, left = [], list(folders)
        empty = {"GIT_INDEX_FILE": str(checkout.git_dir / "worktrain-no-index")}
        while left:
            folder = left.pop()
            listed = await self._git.run(
                At(checkout.git_dir, checkout.root / folder),
                "ls-files",
                "--others",
                "--exclude-standard",
                "-z",
                doing=f"Staging the files in {checkout.root / folder}",
                env=empty,
            )
            for path in _split(listed):
                inner = f"{folder}/{path}"
                if path.endswith("/"):
                    left.append(inner.rstrip("/"))
                else:
                    files.append(inner)
        return files

    async def _tree(self, checkout: Checkout, index: Path) -> str:
        tree = await self._git.run(
            checkout.at,
            "write-tree",
            doing=f"Staging the files in {checkout.root}",
            env={"GIT_INDEX_FILE": str(index)},
            config=_WHOLE,
        )
        return tree.strip()

    async def _commit(
        self,
        found: Repository,
        tree: str,
        parents: Sequence[str],
        message: str,
        author: dict[str, str] | None = None,
    ) -> str:
        sign = await found.config("commit.gpgSign", "--type=bool") == "true"
        made = await self._git.run(
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

    async def _keyed(self, found: Repository, head: str, key: str) -> str | None:
        """The newest commit up to `head` that carries the key."""
        told = await self._git.run(
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
        for entry in _split(told):
            commit, _, keys = entry.partition(" ")
            if _line(key) in keys.splitlines():
                return commit
        return None

    async def _committed(self, found: Repository, commit: str) -> Committed:
        listed = await self._git.run(
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
        files = tuple(map(printable, _split(listed)))[:FILES_MAX]
        return Committed(at=await found.commit(commit), files=files)

    async def _save(
        self, found: Repository, checkout: Checkout, worktree: Worktree, ref: str
    ) -> None:
        """Keep what is not committed, and whatever an earlier save holds."""
        if checkout.busy or await found.named(MOVING, checkout.at):
            await self._settle(found, checkout, worktree.branch)
        head = await found.named(_branch_ref(worktree.branch), checkout.at)
        start = head or await found.named(START, checkout.at)
        if start is None:
            return
        index = await self._staged(checkout, start)
        tree = await self._tree(checkout, index)
        if tree == (await found.commit(start)).tree:
            return
        earlier = await found.named(ref)
        if earlier and (await found.commit(earlier)).tree == tree:
            return
        message = f"Uncommitted work of session {_line(worktree.session)}\n"
        parents = (start, earlier) if earlier else (start,)
        await self._point(checkout, ref, await self._commit(found, tree, parents, message))


class _Words:
    """The words of `git worktree add` around the path."""

    def __init__(self, before: tuple[str, ...], after: tuple[str, ...]) -> None:
        self._before = before
        self._after = after

    def __call__(self, path: Path) -> tuple[str, ...]:
        return (*self._before, str(path), *self._after)


def shortened(sections: Sequence[tuple[str, str]], unread: Sequence[str] = ()) -> str:
    """Patches by file, cut to what a reviewer is shown; `unread` names files without one."""
    shown: list[str] = []
    room = DIFF_CHARACTERS_MAX
    cut: list[str] = []
    left_out = list(unread)
    for name, text in sections:
        part = text[:FILE_CHARACTERS_MAX]
        if len(part) > room:
            left_out.append(name)
            continue
        room -= len(part)
        if len(part) < len(text):
            cut.append(f"{name} ({len(part)} of {len(text)} characters)")
            part += "\n"
        shown.append(part)
    return "".join(shown) + _names("Shortened", cut) + _names("Not shown", left_out)


def saved_ref(session: str) -> str:
    """Where the uncommitted work of a session is kept."""
    parts = [re.sub(r"[^A-Za-z0-9_.-]|\.\.+|^\.|\.$|\.lock$", "-", p) for p in session.split("/")]
    name = "/".join(part or "-" for part in parts)
    return f"refs/worktrain/saved/{name if name == session else f'{name}-{digest(session)[:8]}'}"


def _names(title: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    lines, room = [f"\n[{title}: {len(names)} file(s)]"], NAMES_CHARACTERS_MAX // 2
    for count, name in enumerate(names):
        room -= len(name) + 1
        if room < 0:
            lines.append(f"… and {len(names) - count} more")
            break
        lines.append(name)
    return "\n".join(lines) + "\n"


def _named_in(section: str) -> str:
    header = section.partition("\n")[0]
    half = (len(header) - 1) // 2
    same = header[2:half] == header[half + 3 :]
    return header[2:half] if same else header


def _message(request: CommitRequest) -> str:
    trailers = [*request.trailers, (KEY, request.key)]
    parts = [
        _line(request.subject) or "Work by WorkTrain",
        request.body.replace("\0", "").strip(),
        "\n".join(f"{re.sub(r'[^A-Za-z0-9-]', '-', k)}: {_line(v)}" for k, v in trailers),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _line(text: str) -> str:
    return " ".join(text.replace("\0", "").split())


def _branch_ref(branch: str | None) -> str:
    return "HEAD" if branch is None else f"refs/heads/{branch}"


def _whole(checkout: Checkout) -> bool:
    """Git writes the index last, so its checkout was finished once."""
    root = checkout.root
    return root is not None and root.is_dir() and (checkout.git_dir / "index").is_file()


def _exists(path: Path) -> bool:
    return os.path.lexists(path)


def _inhabited(root: Path) -> bool:
    return root.is_dir() and not root.is_symlink() and any(root.iterdir())


def _link(root: Path, git_dir: Path) -> None:
    """What git itself writes, for whoever runs git inside the worktree."""
    (root / ".git").write_text(f"gitdir: {git_dir}\n")


def _replace(old: Path, target: Path) -> None:
    old.replace(target)


def _within(path: Path, folder: Path) -> bool:
    return real(path).is_relative_to(resolved(folder))


def _not_ours(root: Path | None, why: str) -> AdapterError:
    return AdapterError(
        FailureKind.CONFLICT,
        f"{root} was left alone: {why}; move it away if WorkTrain is to use that place.",
    )


def _split(listed: str) -> list[str]:
    return [entry for entry in listed.split("\0") if entry]


def _joined(paths: Iterable[str]) -> bytes:
    return b"".join(os.fsencode(path) + b"\0" for path in paths)


def _gitlinks(staged: str) -> dict[str, str]:
    entries = (entry.partition("\t") for entry in _split(staged))
    return {path: what for what, _, path in entries if what.startswith(_GITLINK)}


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
