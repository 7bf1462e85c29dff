"""Handing work over with plain git: to a remote, or within the repository itself."""

import asyncio
from pathlib import Path

import pytest

from tests.adapters.conftest import Project, write
from worktrain.adapters.forges.local_git import NOTES, LocalGitForge
from worktrain.adapters.workspaces.git import Git
from worktrain.contracts.delivery import BaseMoved, Merged, MergeReply, MergeRequest
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import Base, CommitRef

# A hook of a remote that changes it while a push is being received.
OUT_OF_QUARANTINE = (
    "unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES\n"
)
ADD_A_NOTE = (
    "git -c user.name=a -c user.email=a@b notes --ref=refs/notes/worktrain append -m x main"
)
PROOF = '{"proof": "ü"}\n\n\n  trailing \n\n'


async def base_of(project: Project) -> Base:
    return await project.workspaces.base(str(project.repo), "main")


async def merge(
    project: Project, base: Base, candidate: CommitRef, repo: Path | None = None
) -> MergeReply:
    request = MergeRequest(
        pipeline="p", repo=str(repo or project.repo), base=base, candidate=candidate
    )
    return await LocalGitForge(project.runner).merge(request)


def hook(project: Project, name: str, body: str) -> None:
    path = project.origin / "hooks" / name
    write(path, f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


# --- merging to a remote ---------------------------------------------------------------------


async def test_a_merge_pushes_the_candidate_and_reads_it_back(project: Project) -> None:
    project.with_origin()
    base = await base_of(project)
    candidate = await project.candidate(a_txt="uno\n")
    mine = project.head("main")
    assert await merge(project, base, candidate) == Merged(at=candidate)
    assert project.head("main", at=project.origin) == candidate.commit
    assert project.head("main") == mine


async def test_a_merge_that_is_attempted_twice_finds_the_first(project: Project) -> None:
    project.with_origin()
    base = await base_of(project)
    candidate = await project.candidate(a_txt="uno\n")
    first = await merge(project, base, candidate)
    assert await merge(project, base, candidate) == first


async def test_a_merge_whose_answer_was_lost_is_found_below_later_work(project: Project) -> None:
    project.with_origin()
    base = await base_of(project)
    candidate = await project.candidate(a_txt="uno\n")
    project.git("push", "--quiet", "origin", f"{candidate.commit}:main")
    project.somebody_pushes(later_txt="later\n")
    assert await merge(project, base, candidate) == Merged(at=candidate)


async def test_a_base_that_moved_is_not_overwritten(project: Project) -> None:
    project.with_origin()
    base = await base_of(project)
    candidate = await project.candidate(a_txt="uno\n")
    theirs = project.somebody_pushes(other_txt="theirs\n")
    reply = await merge(project, base, candidate)
    assert isinstance(reply, BaseMoved)
    assert reply.now.commit == theirs
    assert project.head("main", at=project.origin) == theirs


async def test_a_base_that_moves_during_the_push_is_not_overwritten(project: Project) -> None:
    project.with_origin()
    base = await base_of(project)
    candidate = await project.candidate(a_txt="uno\n")
    project.git("push", "--quiet", "origin", "main:refs/heads/aside")
    theirs = project.somebody_pushes("aside", other_txt="theirs\n")
    # The remote's own hook plays the faster one: it moves the branch while ours is received.
    hook(project, "pre-receive", f"{OUT_OF_QUARANTINE}git update-ref refs/heads/main {theirs}")
    reply = await merge(project, base, candidate)
    assert isinstance(reply, BaseMoved)
    assert reply.now.commit == theirs
    assert project.head("main", at=project.origin) == theirs


async def test_a_remote_that_refuses_is_quoted_and_held(project: Project) -> None:
    project.with_origin()
    base = await base_of(project)
    candidate = await project.candidate(a_txt="uno\n")
    hook(project, "pre-receive", "echo 'main is protected' >&2; exit 1")
    with pytest.raises(AdapterError, match="main is protected") as caught:
        await merge(project, base, candidate)
    assert caught.value.kind is FailureKind.MISCONFIGURED
    assert project.head("main", at=project.origin) == base.at.commit


async def test_a_remote_that_is_gone_is_unreachable(project: Project) -> None:
    project.with_origin()
    base = await base_of(project)
    candidate = await project.candidate(a_txt="uno\n")
    project.origin.rename(project.place / "gone.git")
    with pytest.raises(AdapterError) as caught:
        await merge(project, base, candidate)
    assert caught.value.kind is FailureKind.UNREACHABLE


async def test_a_candidate_that_does_not_build_on_the_base_is_refused(project: Project) -> None:
    candidate = await project.candidate(a_txt="uno\n")
    project.add("Base goes on", other_txt="x\n")
    with pytest.raises(AdapterError, match="rebase it first") as caught:
        await merge(project, await base_of(project), candidate)
    assert caught.value.kind is FailureKind.CONFLICT


# --- merging within the repository -----------------------------------------------------------


async def test_a_base_that_is_checked_out_nowhere_is_moved_alone(project: Project) -> None:
    base = await base_of(project)
    candidate = await project.candidate(a_txt="uno\n")
    project.git("checkout", "--quiet", "-b", "aside")
    assert await merge(project, base, candidate) == Merged(at=candidate)
    assert project.head("main") == candidate.commit
    assert (project.repo / "a.txt").read_text() == "one\n"


async def test_a_clean_checkout_of_the_base_moves_with_its_branch(project: Project) -> None:
    base = await base_of(project)
    candidate = await project.candidate(a_txt="uno\n", new_txt="new\n")
    assert await merge(project, base, candidate) == Merged(at=candidate)
    assert (project.repo / "a.txt").read_text() == "uno\n"
    assert project.git("status", "--porcelain") == ""
    assert project.git("symbolic-ref", "HEAD") == "refs/heads/main"
    assert await merge(project, base, candidate) == Merged(at=candidate)


async def test_uncommitted_work_that_is_not_in_the_way_is_kept(project: Project) -> None:
    base = await base_of(project)
    candidate = await project.candidate(a_txt="uno\n")
    write(project.repo / "src" / "b.txt", "half done\n")
    assert await merge(project, base, candidate) == Merged(at=candidate)
    assert (project.repo / "src" / "b.txt").read_text() == "half done\n"


@pytest.mark.parametrize("path", ["a.txt", "new.txt"])
async def test_uncommitted_work_in_the_way_stops_the_merge_and_is_named(
    project: Project, path: str
) -> None:
    base = await base_of(project)
    candidate = await project.candidate(a_txt="uno\n", new_txt="new\n")
    write(project.repo / path, "half done\n")
    with pytest.raises(AdapterError, match=path) as caught:
        await merge(project, base, candidate)
    assert caught.value.kind is FailureKind.MISCONFIGURED
    assert "commit, stash or move away" in caught.value.said
    assert (project.repo / path).read_text() == "half done\n"
    assert project.head("main") == base.at.commit


async def test_a_local_base_that_moved_is_answered_with_its_head(project: Project) -> None:
    base = await base_of(project)
    candidate = await project.candidate(a_txt="uno\n")
    now = project.add("Meanwhile", other_txt="x\n")
    reply = await merge(project, base, candidate)
    assert isinstance(reply, BaseMoved)
    assert reply.now.commit == now


async def test_a_base_that_the_user_is_rebasing_is_left_alone(project: Project) -> None:
    project.git("checkout", "--quiet", "-b", "upstream")
    project.add("Upstream", a_txt="upstream\n")
    project.git("checkout", "--quiet", "main")
    project.add("Mine", a_txt="mine\n")
    base = await base_of(project)
    candidate = await project.candidate(c_txt="tre\n")
    with pytest.raises(AssertionError, match="conflict"):
        project.git("rebase", "upstream")
    with pytest.raises(AdapterError, match="a rebase is going on") as caught:
        await merge(project, base, candidate)
    assert caught.value.kind is FailureKind.MISCONFIGURED


async def test_hooks_in_the_user_s_repository_do_not_run_at_a_merge(project: Project) -> None:
    base = await base_of(project)
    candidate = await project.candidate(a_txt="uno\n")
    fired = project.place / "fired"
    for name in ("post-merge", "pre-merge-commit", "reference-transaction"):
        write(project.repo / ".git" / "hooks" / name, f"#!/bin/sh\ntouch {fired}\n")
        (project.repo / ".git" / "hooks" / name).chmod(0o755)
    await merge(project, base, candidate)
    assert not fired.exists()


async def test_merge_options_of_the_user_do_not_change_what_a_merge_is(project: Project) -> None:
    base = await base_of(project)
    candidate = await project.candidate(a_txt="uno\n")
    project.git("config", "branch.main.mergeOptions", "--squash --no-commit --no-ff")
    assert await merge(project, base, candidate) == Merged(at=candidate)
    assert project.head("main") == candidate.commit


async def test_a_base_branch_that_is_gone_says_so(project: Project) -> None:
    base = await base_of(project)
    candidate = await project.candidate(a_txt="uno\n")
    project.git("branch", "--quiet", "--move", "main", "trunk")
    with pytest.raises(AdapterError, match="no such branch any more") as caught:
        await merge(project, base, candidate)
    assert caught.value.kind is FailureKind.MISCONFIGURED


async def test_two_candidates_for_one_base_at_the_same_time_merge_one(project: Project) -> None:
    project.with_origin()
    base = await base_of(project)
    one = await project.candidate(a_txt="uno\n")
    other = await project.open("coding-2", branch="work-2", at="main")
    write(Path(other.root) / "a.txt", "due\n")
    two = await project.committed(other)

    async def by_another_process(candidate: CommitRef) -> MergeReply:
        request = MergeRequest(pipeline="p", repo=str(project.repo), base=base, candidate=candidate)
        return await LocalGitForge(Git(environ=project.environ)).merge(request)

    replies = await asyncio.gather(by_another_process(one), by_another_process(two))
    assert sorted(reply.kind for reply in replies) == ["base_moved", "merged"]


# --- notes -----------------------------------------------------------------------------------


async def test_a_note_reaches_a_fresh_clone_byte_for_byte(project: Project) -> None:
    project.with_origin()
    forge, base, commit = LocalGitForge(project.runner), await base_of(project), project.head()
    where = await forge.attach_note(str(project.repo), base, commit, PROOF)
    assert where == "refs/notes/worktrain on origin"
    clone = project.place / "clone"
    project.git("clone", "--quiet", str(project.origin), str(clone))
    assert await forge.read_note(str(clone), commit) == PROOF
    assert await forge.read_note(str(project.repo), commit) == PROOF


async def test_a_note_stays_local_without_a_remote(project: Project) -> None:
    forge, base, commit = LocalGitForge(project.runner), await base_of(project), project.head()
    assert await forge.attach_note(str(project.repo), base, commit, PROOF) == NOTES
    assert await forge.read_note(str(project.repo), commit) == PROOF


async def test_a_note_that_is_attached_twice_is_written_once_and_may_be_replaced(
    project: Project,
) -> None:
    project.with_origin()
    forge, base, commit = LocalGitForge(project.runner), await base_of(project), project.head()
    await forge.attach_note(str(project.repo), base, commit, PROOF)
    written = project.head(NOTES)
    await forge.attach_note(str(project.repo), base, commit, PROOF)
    assert project.head(NOTES) == written == project.head(NOTES, at=project.origin)
    await forge.attach_note(str(project.repo), base, commit, "other")
    assert await forge.read_note(str(project.repo), commit) == "other"


async def test_a_note_written_but_not_pushed_is_pushed_by_the_second_attempt(
    project: Project,
) -> None:
    project.with_origin()
    forge, base, commit = LocalGitForge(project.runner), await base_of(project), project.head()
    hook(project, "pre-receive", "exit 1")
    with pytest.raises(AdapterError) as caught:
        await forge.attach_note(str(project.repo), base, commit, PROOF)
    assert caught.value.kind is FailureKind.MISCONFIGURED
    (project.origin / "hooks" / "pre-receive").unlink()
    await forge.attach_note(str(project.repo), base, commit, PROOF)
    assert project.head(NOTES) == project.head(NOTES, at=project.origin)


async def test_notes_of_two_clones_are_both_kept_and_ours_unaltered(project: Project) -> None:
    project.with_origin()
    base, first = await base_of(project), project.head()
    second = project.add("Second", a_txt="2\n")
    project.git("push", "--quiet", "origin", "main")
    clone = project.place / "clone"
    project.git("clone", "--quiet", str(project.origin), str(clone))
    forge = LocalGitForge(project.runner)
    await forge.attach_note(str(clone), base, first, "theirs on first\n\n")
    await forge.attach_note(str(clone), base, second, "theirs on second\n\n")
    await forge.attach_note(str(project.repo), base, second, PROOF)
    for repo in (project.repo, project.origin):
        assert await forge.read_note(str(repo), first) == "theirs on first\n\n"
        assert await forge.read_note(str(repo), second) == PROOF


async def test_a_note_is_read_from_the_remote_when_it_is_not_here_yet(project: Project) -> None:
    project.with_origin()
    base, commit = await base_of(project), project.head()
    clone = project.place / "clone"
    project.git("clone", "--quiet", str(project.origin), str(clone))
    forge = LocalGitForge(project.runner)
    assert await forge.read_note(str(clone), commit) is None
    await forge.attach_note(str(project.repo), base, commit, PROOF)
    assert await forge.read_note(str(clone), commit) == PROOF


async def test_without_its_remote_a_local_note_is_still_read(project: Project) -> None:
    project.with_origin()
    forge, base, commit = LocalGitForge(project.runner), await base_of(project), project.head()
    await forge.attach_note(str(project.repo), base, commit, PROOF)
    other = project.add("Other", a_txt="2\n")
    project.origin.rename(project.place / "gone.git")
    assert await forge.read_note(str(project.repo), commit) == PROOF
    assert await forge.read_note(str(project.repo), other) is None


async def test_a_note_that_is_overtaken_during_the_push_is_to_be_tried_again(
    project: Project,
) -> None:
    project.with_origin()
    forge, base, commit = LocalGitForge(project.runner), await base_of(project), project.head()
    await forge.attach_note(str(project.repo), base, commit, "first")
    hook(project, "pre-receive", f"{OUT_OF_QUARANTINE}{ADD_A_NOTE}")
    with pytest.raises(AdapterError, match="another push was going on") as caught:
        await forge.attach_note(str(project.repo), base, commit, PROOF)
    assert caught.value.kind is FailureKind.UNREACHABLE
    (project.origin / "hooks" / "pre-receive").unlink()
    await forge.attach_note(str(project.repo), base, commit, PROOF)
    assert await forge.read_note(str(project.origin), commit) == PROOF


async def test_a_remote_that_keeps_moving_its_notes_ends_in_a_sentence(project: Project) -> None:
    project.with_origin()
    forge, base, commit = LocalGitForge(project.runner), await base_of(project), project.head()
    project.git("-c", "core.bare=true", *ADD_A_NOTE.split()[1:], at=project.origin)
    # Whenever somebody fetches, the origin gains another note before the answer is packed.
    packing = project.place / "packing"
    write(packing, f'#!/bin/sh\n{ADD_A_NOTE} >&2\nexec "$@"\n')
    packing.chmod(0o755)
    write(project.place / "home" / ".gitconfig", f"[uploadpack]\npackObjectsHook = {packing}\n")
    with pytest.raises(AdapterError, match="took other notes first, 3 times") as caught:
        await forge.attach_note(str(project.repo), base, commit, PROOF)
    assert caught.value.kind is FailureKind.UNREACHABLE
    assert await forge.read_note(str(project.repo), commit) == PROOF
