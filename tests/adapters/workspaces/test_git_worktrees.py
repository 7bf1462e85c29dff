"""A session's worktree from opening to closing, every act attempted twice, killed in between."""

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.adapters.conftest import Project, write
from worktrain.adapters.workspaces.committing import saved_ref
from worktrain.adapters.workspaces.git import Git
from worktrain.adapters.workspaces.git_worktree import GitWorkspaces
from worktrain.adapters.workspaces.moving import MOVING, START
from worktrain.adapters.workspaces.repository import Repository
from worktrain.contracts.delivery import (
    CloseWorktreeRequest,
    CommitRequest,
    Committed,
    Conflicted,
    NothingChanged,
    Rebased,
    RebaseReply,
    RebaseRequest,
)
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import Worktree, WorktreeRequest


def registration(project: Project, worktree: Worktree) -> Path:
    return project.repo / ".git" / "worktrees" / Path(worktree.root).name


async def close(project: Project, worktree: Worktree, keep: bool = False) -> str | None:
    request = CloseWorktreeRequest(worktree=worktree, keep_branch=keep)
    return (await project.workspaces.close(request)).saved


async def rebase(project: Project, worktree: Worktree, onto: str) -> RebaseReply:
    at = await project.workspaces.tree(str(project.repo), onto)
    return await project.workspaces.rebase(RebaseRequest(worktree=worktree, onto=at))


def put(worktree: Worktree, path: str, content: str) -> None:
    write(Path(worktree.root) / path, content)


# --- open ------------------------------------------------------------------------------------


async def test_a_worktree_is_opened_on_a_new_branch_locked_with_our_mark(project: Project) -> None:
    worktree = await project.open()
    assert (Path(worktree.root) / "a.txt").read_text() == "one\n"
    assert project.head("work") == project.head("main")
    assert (registration(project, worktree) / "locked").read_text() == "worktrain coding-1\n"
    assert (worktree.queue, worktree.sandbox, worktree.branch) == ("host", "", "work")


async def test_a_second_opening_finds_the_first_with_its_uncommitted_work(project: Project) -> None:
    first = await project.open()
    put(first, "new.txt", "half done\n")
    assert await project.open() == first
    assert (Path(first.root) / "new.txt").read_text() == "half done\n"


async def test_without_a_branch_it_is_detached_at_the_commit(project: Project) -> None:
    at = project.head()
    project.add("Later", a_txt="later\n")
    worktree = await project.open("review-1", branch=None, at=at)
    assert (Path(worktree.root) / "a.txt").read_text() == "one\n"
    assert await project.open("review-1", branch=None, at=at) == worktree


async def test_an_existing_branch_is_used_as_it_is(project: Project) -> None:
    project.git("checkout", "--quiet", "-b", "work")
    work = project.add("Earlier work", a_txt="earlier\n")
    project.git("checkout", "--quiet", "main")
    worktree = await project.open(at="main")
    assert (Path(worktree.root) / "a.txt").read_text() == "earlier\n"
    assert project.head("work") == work


async def test_two_sessions_on_one_branch_share_a_worktree(project: Project) -> None:
    coding = await project.open("coding-1")
    fix = await project.open("fix-1")
    assert fix.root == coding.root
    assert fix.session == "fix-1"
    assert not (project.place / "trees" / "fix-1").exists()


async def test_a_branch_that_the_user_has_checked_out_is_refused_and_named(
    project: Project,
) -> None:
    with pytest.raises(AdapterError, match="checked out in") as caught:
        await project.open(branch="main")
    assert caught.value.kind is FailureKind.MISCONFIGURED
    assert str(project.repo) in caught.value.said


async def test_a_worktree_of_the_user_is_not_taken_over(project: Project) -> None:
    root = project.place / "trees" / "coding-1"
    project.git("worktree", "add", "--quiet", "-b", "theirs", str(root))
    with pytest.raises(AdapterError, match="did not make") as caught:
        await project.open()
    assert caught.value.kind is FailureKind.CONFLICT


@pytest.mark.parametrize("where", ["inside", ".git/inside", ".."])
async def test_a_root_that_overlaps_the_repository_is_refused(project: Project, where: str) -> None:
    request = WorktreeRequest(session="s", repo=str(project.repo), at=project.head(), branch="w")
    with pytest.raises(AdapterError) as caught:
        await project.workspaces.open(request, project.repo / where, "host")
    assert caught.value.kind is FailureKind.MISCONFIGURED
    assert (project.repo / "a.txt").exists()


async def test_a_checkout_that_was_cut_short_is_made_again(project: Project) -> None:
    worktree = await project.open()
    (registration(project, worktree) / "index").unlink()
    (registration(project, worktree) / "index.lock").touch()
    put(worktree, "a.txt", "o")
    assert await project.open() == worktree
    assert (Path(worktree.root) / "a.txt").read_text() == "one\n"
    assert isinstance(await project.commit(worktree), NothingChanged)


async def test_a_registration_without_its_folder_is_made_again(project: Project) -> None:
    worktree = await project.open()
    shutil.rmtree(worktree.root)
    assert await project.open() == worktree
    assert (Path(worktree.root) / "src" / "b.txt").read_text() == "two\n"


async def test_a_registration_that_names_no_folder_yet_is_made_again(project: Project) -> None:
    half = project.repo / ".git" / "worktrees" / "coding-1"
    write(half / "locked", "worktrain coding-1")
    worktree = await project.open()
    assert (Path(worktree.root) / "a.txt").exists()
    assert len(list((project.repo / ".git" / "worktrees").iterdir())) == 1


async def test_a_folder_without_a_registration_is_adopted_with_its_work(project: Project) -> None:
    worktree = await project.open()
    put(worktree, "new.txt", "not committed\n")
    (Path(worktree.root) / "a.txt").unlink()
    shutil.rmtree(registration(project, worktree))
    again = await project.open()
    assert again == worktree
    assert (Path(worktree.root) / "new.txt").read_text() == "not committed\n"
    reply = await project.commit(again)
    assert isinstance(reply, Committed)
    assert set(reply.files) == {"a.txt", "new.txt"}
    assert project.git("status", "--porcelain", at=Path(worktree.root)) == ""


async def test_an_adoption_that_was_cut_short_is_begun_again(project: Project) -> None:
    worktree = await project.open()
    put(worktree, "new.txt", "not committed\n")
    shutil.rmtree(registration(project, worktree))
    making = f"{worktree.root}.making"
    words = ("--quiet", "--no-checkout", "--lock", "--reason", "worktrain coding-1")
    project.git("worktree", "add", *words, making, "work")
    assert await project.open() == worktree
    assert (Path(worktree.root) / "new.txt").read_text() == "not committed\n"
    assert not Path(making).exists()


async def test_two_processes_open_many_worktrees_of_one_repository_at_once(
    project: Project,
) -> None:
    async def open_one(number: int) -> Worktree:
        workspaces = GitWorkspaces(Git(environ=project.environ))
        session = f"s{number}"
        request = WorktreeRequest(
            session=session, repo=str(project.repo), at=project.head(), branch=f"work-{number}"
        )
        worktree = await workspaces.open(request, project.place / "trees" / session, "host")
        put(worktree, "a.txt", f"{number}\n")
        reply = await workspaces.commit(CommitRequest(worktree=worktree, key="k", subject="S"))
        assert isinstance(reply, Committed)
        return worktree

    await asyncio.gather(*(open_one(number) for number in range(4)))
    for number in range(4):
        assert project.git("show", f"work-{number}:a.txt") == str(number)


# --- commit ----------------------------------------------------------------------------------


async def test_a_commit_holds_changes_additions_and_deletions_by_the_user(project: Project) -> None:
    worktree = await project.open()
    put(worktree, "a.txt", "uno\n")
    put(worktree, "deep/ü new.txt", "new\n")
    (Path(worktree.root) / "src" / "b.txt").unlink()
    reply = await project.workspaces.commit(
        CommitRequest(
            worktree=worktree,
            key="p/coding/1",
            subject="Change\nit",
            body="Because.\n\nWorkTrain-Key: forged",
            trailers=(("WorkTrain-Session", "coding-1\nSigned-off-by: nobody"),),
        )
    )
    assert isinstance(reply, Committed)
    assert set(reply.files) == {"a.txt", "deep/ü new.txt", "src/b.txt"}
    assert reply.at.commit == project.head("work")
    assert reply.at.tree == project.head("work^{tree}")
    assert project.head("work^") == project.head("main")
    told = project.git("log", "-1", "--format=%an|%ae|%s|%(trailers:only)", "work").splitlines()
    assert told[0].startswith("Olive Owner|olive@example.invalid|Change it|")
    assert told[-1] == "WorkTrain-Key: p/coding/1"
    assert len(told) == 2
    assert project.git("status", "--porcelain", at=Path(worktree.root)) == ""


async def commit_long_ago(project: Project, worktree: Worktree) -> Committed:
    """A commit that one made now cannot be equal to."""
    then = {"GIT_COMMITTER_DATE": "1700000000 +0000", "GIT_AUTHOR_DATE": "1700000000 +0000"}
    workspaces = GitWorkspaces(Git(environ={**project.environ, **then}))
    request = CommitRequest(worktree=worktree, key="k1", subject="Change it")
    reply = await workspaces.commit(request)
    assert isinstance(reply, Committed)
    return reply


async def test_a_commit_that_is_attempted_twice_is_made_once(project: Project) -> None:
    worktree = await project.open()
    put(worktree, "a.txt", "uno\n")
    first = await commit_long_ago(project, worktree)
    assert await project.commit(worktree) == first
    assert project.git("rev-list", "--count", "main..work") == "1"


@pytest.mark.parametrize("lost", ["start", "start and index"])
async def test_a_commit_that_was_cut_short_after_the_branch_moved_is_found(
    project: Project, lost: str
) -> None:
    worktree = await project.open()
    start = project.head()
    index = registration(project, worktree) / "index"
    before = index.read_bytes()
    put(worktree, "a.txt", "uno\n")
    first = await commit_long_ago(project, worktree)
    project.git("update-ref", START, start, at=Path(worktree.root))
    if "index" in lost:
        index.write_bytes(before)
    assert await project.commit(worktree) == first
    assert project.git("status", "--porcelain", at=Path(worktree.root)) == ""


async def test_nothing_changed_is_said_only_of_a_clean_worktree_without_the_key(
    project: Project,
) -> None:
    worktree = await project.open()
    assert isinstance(await project.commit(worktree), NothingChanged)
    put(worktree, "a.txt", "uno\n")
    first = await project.commit(worktree, "k1")
    assert isinstance(first, Committed)
    assert isinstance(await project.commit(worktree, "k2"), NothingChanged)
    put(worktree, "a.txt", "due\n")
    second = await project.commit(worktree, "k2")
    assert isinstance(second, Committed)
    assert await project.commit(worktree, "k1") == first
    assert project.git("rev-list", "--count", "main..work") == "2"


async def test_ignored_files_stay_out_and_tracked_ones_in(project: Project) -> None:
    project.add("Ignore", _gitignore="*.log\na.txt\n")
    worktree = await project.open()
    put(worktree, "debug.log", "noise")
    put(worktree, "a.txt", "uno\n")
    reply = await project.commit(worktree)
    assert isinstance(reply, Committed)
    assert reply.files == ("a.txt",)


async def test_without_a_configured_user_worktrain_signs_for_itself(project: Project) -> None:
    project.git("config", "--unset", "user.name")
    project.git("config", "--unset", "user.email")
    await project.candidate(a_txt="uno\n")
    told = project.git("log", "-1", "--format=%an <%ae> %cn <%ce>", "work")
    assert told == "WorkTrain <worktrain@localhost> WorkTrain <worktrain@localhost>"


async def test_a_signing_user_gets_a_signature_or_a_sentence(project: Project) -> None:
    signer = project.place / "signer"
    body = "cat > /dev/null\nprintf '\\n[GNUPG:] SIG_CREATED \\n' >&2\necho 'a signature'"
    write(signer, f"#!/bin/sh\n{body}\n")
    signer.chmod(0o755)
    project.git("config", "commit.gpgSign", "true")
    project.git("config", "gpg.program", str(signer))
    at = await project.candidate(a_txt="uno\n")
    assert "gpgsig a signature" in project.git("cat-file", "commit", at.commit)
    project.git("config", "gpg.program", "/bin/false")
    with pytest.raises(AdapterError, match="signing settings") as caught:
        await project.candidate(a_txt="due\n")
    assert caught.value.kind is FailureKind.MISCONFIGURED


async def test_commits_of_the_agent_are_folded_into_ours(project: Project) -> None:
    worktree = await project.open()
    root = Path(worktree.root)
    put(worktree, "a.txt", "uno\n")
    project.git("commit", "--quiet", "--all", "--message", "By the agent", at=root)
    at = await project.committed(worktree)
    assert project.head(f"{at.commit}^") == project.head("main")
    assert project.git("show", "work:a.txt") == "uno"
    assert project.git("log", "-1", "--format=%s", "work") == "Change it"


async def test_an_agent_that_switched_branches_still_commits_to_its_own(project: Project) -> None:
    worktree = await project.open()
    project.git("checkout", "--quiet", "-b", "elsewhere", at=Path(worktree.root))
    put(worktree, "a.txt", "uno\n")
    at = await project.committed(worktree)
    assert project.head("work") == at.commit
    assert project.git("symbolic-ref", "HEAD", at=Path(worktree.root)) == "refs/heads/work"


async def test_at_most_200_files_are_named(project: Project) -> None:
    worktree = await project.open()
    for number in range(250):
        put(worktree, f"many/{number}.txt", "x")
    reply = await project.commit(worktree)
    assert isinstance(reply, Committed)
    assert len(reply.files) == 200
    assert len(project.files("work")) == 252


async def test_a_commit_in_a_worktree_that_is_gone_or_not_ours_says_so(project: Project) -> None:
    worktree = await project.open()
    await close(project, worktree)
    with pytest.raises(AdapterError, match="open it again") as caught:
        await project.commit(worktree)
    assert caught.value.kind is FailureKind.CONFLICT
    main = worktree.model_copy(update={"root": str(project.repo)})
    with pytest.raises(AdapterError, match="does not carry our mark"):
        await project.commit(main)


# --- rebase ----------------------------------------------------------------------------------


async def test_a_rebase_moves_branch_and_files_and_keeps_author_and_key(project: Project) -> None:
    worktree = await project.open()
    put(worktree, "a.txt", "uno\n")
    await project.committed(worktree, "k1")
    put(worktree, "c.txt", "tre\n")
    await project.committed(worktree, "k2")
    onto = project.add("Base goes on", src__b_txt="changed\n")
    reply = await rebase(project, worktree, onto)
    assert isinstance(reply, Rebased)
    assert reply.at.commit == project.head("work")
    assert project.git("rev-list", "--count", f"{onto}..work") == "2"
    assert (Path(worktree.root) / "src" / "b.txt").read_text() == "changed\n"
    assert project.git("status", "--porcelain", at=Path(worktree.root)) == ""
    again = await project.commit(worktree, "k2")
    assert isinstance(again, Committed)
    assert again.at == reply.at
    assert isinstance(await project.commit(worktree, "k3"), NothingChanged)


async def test_a_rebase_that_is_attempted_twice_moves_once(project: Project) -> None:
    await project.candidate(a_txt="uno\n")
    worktree = await project.open()
    onto = project.add("Base goes on", src__b_txt="changed\n")
    first = await rebase(project, worktree, onto)
    assert await rebase(project, worktree, onto) == first


async def test_a_conflict_names_the_files_and_leaves_everything_as_it_was(
    project: Project,
) -> None:
    at = await project.candidate(a_txt="mine\n", c_txt="also mine\n")
    worktree = await project.open()
    onto = project.add("Base goes on", a_txt="theirs\n")
    assert await rebase(project, worktree, onto) == Conflicted(files=("a.txt",))
    assert project.head("work") == at.commit
    assert (Path(worktree.root) / "a.txt").read_text() == "mine\n"
    assert isinstance(await project.commit(worktree, "k2"), NothingChanged)


async def test_work_that_the_base_already_has_disappears_in_a_rebase(project: Project) -> None:
    await project.candidate(a_txt="same\n")
    onto = project.add("The same", a_txt="same\n", c_txt="more\n")
    reply = await rebase(project, await project.open(), onto)
    assert isinstance(reply, Rebased)
    assert reply.at.commit == onto


async def test_a_move_that_was_cut_short_is_finished_by_the_next_act(project: Project) -> None:
    await project.candidate(a_txt="uno\n")
    worktree = await project.open()
    before = project.head("work")
    onto = project.add("Base goes on", src__b_txt="changed\n")
    done = await rebase(project, worktree, onto)
    assert isinstance(done, Rebased)
    root = Path(worktree.root)
    # As if the process had died after it had decided, with one file of two written.
    project.git("reset", "--quiet", "--hard", before, at=root)
    put(worktree, "src/b.txt", "changed\n")
    project.git("update-ref", MOVING, done.at.commit, at=root)
    (registration(project, worktree) / "index.lock").touch()
    assert await rebase(project, worktree, onto) == done
    assert project.git("status", "--porcelain", at=root) == ""
    assert (root / "a.txt").read_text() == "uno\n"


async def test_an_interrupted_rebase_of_git_itself_is_aborted_first(project: Project) -> None:
    at = await project.candidate(a_txt="mine\n")
    worktree = await project.open()
    onto = project.add("Base goes on", a_txt="theirs\n")
    with pytest.raises(AssertionError, match="conflict"):
        project.git("rebase", onto, at=Path(worktree.root))
    assert (await project.open()).root == worktree.root
    assert project.git("status", "--porcelain", at=Path(worktree.root)) == ""
    assert project.head("work") == at.commit
    assert await rebase(project, worktree, onto) == Conflicted(files=("a.txt",))


async def test_uncommitted_work_is_not_rebased_away(project: Project) -> None:
    await project.candidate(a_txt="uno\n")
    worktree = await project.open()
    put(worktree, "new.txt", "precious\n")
    onto = project.add("Base goes on", src__b_txt="changed\n")
    with pytest.raises(AdapterError, match="commit them first") as caught:
        await rebase(project, worktree, onto)
    assert caught.value.kind is FailureKind.CONFLICT
    assert (Path(worktree.root) / "new.txt").read_text() == "precious\n"


# --- checkout and discard --------------------------------------------------------------------


async def test_a_checkout_is_exactly_the_commit_and_replaces_what_was_there(
    project: Project,
) -> None:
    old = project.head()
    new = project.add("Second", a_txt="newer\n", c_txt="new\n")
    root = project.place / "verify" / "checkout"
    write(root / "junk.txt", "junk")
    for commit, expected in ((new, "newer\n"), (old, "one\n"), (old, "one\n")):
        await project.workspaces.checkout(str(project.repo), commit, root)
        assert (root / "a.txt").read_text() == expected
        assert not (root / "junk.txt").exists()
        write(root / "junk.txt", "junk")
    assert not (root / "c.txt").exists()
    await project.workspaces.discard(str(project.repo), root)
    await project.workspaces.discard(str(project.repo), root)
    assert not root.exists()
    assert project.git("worktree", "list").count("\n") == 0


async def test_a_discard_that_was_cut_short_is_finished(project: Project) -> None:
    root = project.place / "checkout"
    await project.workspaces.checkout(str(project.repo), "main", root)
    shutil.rmtree(root)
    await project.workspaces.discard(str(project.repo), root)
    assert not list((project.repo / ".git" / "worktrees").glob("*"))


async def test_checkout_and_discard_leave_what_is_not_theirs(project: Project) -> None:
    worktree = await project.open()
    user = project.place / "users"
    project.git("worktree", "add", "--quiet", "-b", "theirs", str(user))
    other = Project(project.place / "other")
    other.add("Other", z_txt="z\n")
    for root in (Path(worktree.root), user, other.repo):
        with pytest.raises(AdapterError, match="left alone") as caught:
            await project.workspaces.checkout(str(project.repo), "main", root)
        assert caught.value.kind is FailureKind.CONFLICT
        with pytest.raises(AdapterError, match="left alone"):
            await project.workspaces.discard(str(project.repo), root)
    assert (other.repo / "z.txt").exists()
    assert (user / "a.txt").exists()


# --- close -----------------------------------------------------------------------------------


async def test_closing_saves_what_was_not_committed_and_removes_the_rest(project: Project) -> None:
    project.add("Ignore", _gitignore="*.log\n")
    worktree = await project.open()
    put(worktree, "a.txt", "half done\n")
    put(worktree, "new.txt", "new\n")
    put(worktree, "noise.log", "noise")
    saved = await close(project, worktree)
    assert saved == "refs/worktrain/saved/coding-1"
    assert project.git("show", f"{saved}:a.txt") == "half done"
    assert "new.txt" in project.files(saved)
    assert "noise.log" not in project.files(saved)
    assert project.head(f"{saved}^") == project.head("main")
    assert not Path(worktree.root).exists()
    assert project.git("branch", "--list", "work") == ""
    assert await close(project, worktree) == saved


async def test_closing_a_clean_worktree_saves_nothing_and_may_keep_the_branch(
    project: Project,
) -> None:
    at = await project.candidate(a_txt="uno\n")
    worktree = await project.open()
    assert await close(project, worktree, keep=True) is None
    assert project.head("work") == at.commit
    assert await close(project, worktree, keep=True) is None


@pytest.mark.parametrize("done", ["files", "files and branch"])
async def test_a_closing_that_was_cut_short_is_finished(project: Project, done: str) -> None:
    worktree = await project.open()
    shutil.rmtree(worktree.root)
    if "branch" in done:
        project.git("update-ref", "-d", "refs/heads/work")
    assert await close(project, worktree) is None
    assert not registration(project, worktree).exists()
    assert project.git("branch", "--list", "work") == ""


async def test_a_later_save_of_a_session_keeps_the_earlier_one(project: Project) -> None:
    for content in ("first\n", "second\n"):
        worktree = await project.open()
        put(worktree, "new.txt", content)
        saved = await close(project, worktree)
    assert saved is not None
    assert project.git("show", f"{saved}:new.txt") == "second"
    assert project.git("show", f"{saved}^2:new.txt") == "first"


async def test_closing_leaves_the_user_s_worktrees_and_branches(project: Project) -> None:
    worktree = await project.open()
    user = project.place / "users"
    project.git("worktree", "add", "--quiet", "-b", "theirs", str(user))
    stolen = worktree.model_copy(update={"root": str(user), "branch": "theirs"})
    for root in (user, project.repo):
        with pytest.raises(AdapterError, match="does not carry our mark") as caught:
            await close(project, stolen.model_copy(update={"root": str(root)}))
        assert caught.value.kind is FailureKind.CONFLICT
    assert (user / "a.txt").exists()
    assert project.head("theirs") == project.head("main")


async def test_a_stale_worktree_of_the_user_survives_ours_being_closed(project: Project) -> None:
    user = project.place / "users"
    project.git("worktree", "add", "--quiet", "-b", "theirs", str(user))
    moved = user.rename(project.place / "moved")
    await close(project, await project.open())
    moved.rename(user)
    assert project.git("symbolic-ref", "HEAD", at=user) == "refs/heads/theirs"


@pytest.mark.parametrize("session", ["p/coding-1", "a b", "x..y", ".hidden/z.lock", "ü:~^"])
async def test_any_session_id_makes_a_ref_of_its_own(project: Project, session: str) -> None:
    project.git("update-ref", saved_ref(session), "HEAD")
    assert project.head(saved_ref(session)) == project.head()
    assert saved_ref(session) != saved_ref(session + "!")


async def test_everything_works_from_a_bare_repository(project: Project) -> None:
    project.with_origin()
    request = WorktreeRequest(
        session="s", repo=str(project.origin), at=project.head(), branch="work"
    )
    worktree = await project.workspaces.open(request, project.place / "trees" / "s", "host")
    put(worktree, "a.txt", "uno\n")
    at = await project.committed(worktree)
    assert project.head("work", at=project.origin) == at.commit
    found = await Repository.find(project.runner, str(project.origin))
    assert (await found.checkouts())[0].root is None
    assert await close(project, worktree) is None
