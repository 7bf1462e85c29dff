"""Reading a repository: where work starts, what is in it, and every bad state of it."""

from pathlib import Path

import pytest

from tests.adapters.conftest import Project, write
from worktrain.adapters.workspaces.reviewing import (
    DIFF_CHARACTERS_MAX,
    FILE_CHARACTERS_MAX,
    shortened,
)
from worktrain.contracts.failure import AdapterError, FailureKind


async def said(project: Project, repo: Path, branch: str | None = None) -> tuple[FailureKind, str]:
    with pytest.raises(AdapterError) as caught:
        await project.workspaces.base(str(repo), branch)
    return caught.value.kind, caught.value.said


async def test_the_base_is_found_from_any_path_inside(project: Project) -> None:
    base = await project.workspaces.base(str(project.repo / "src"), None)
    assert (base.branch, base.at.commit, base.remote) == ("main", project.head(), None)
    assert base.at.tree == project.head("HEAD^{tree}")


async def test_a_folder_without_a_repository_says_what_to_do(project: Project) -> None:
    kind, words = await said(project, project.place)
    assert kind is FailureKind.MISCONFIGURED
    assert "not a git repository" in words
    assert "git init" in words


async def test_a_path_that_does_not_exist_is_named(project: Project) -> None:
    kind, words = await said(project, project.place / "nowhere")
    assert kind is FailureKind.MISCONFIGURED
    assert "nowhere" in words


async def test_a_repository_without_commits_asks_for_one(tmp_path: Path) -> None:
    empty = Project(tmp_path)
    kind, words = await said(empty, empty.repo)
    assert kind is FailureKind.MISCONFIGURED
    assert "make a first commit" in words


async def test_an_unknown_branch_is_refused_and_the_known_ones_are_named(project: Project) -> None:
    kind, words = await said(project, project.repo, "develop")
    assert kind is FailureKind.MISCONFIGURED
    assert "'develop'; it has main" in words


@pytest.mark.parametrize("name", ["-D", "a..b", "a:b", "", "a b", "+main"])
async def test_a_name_that_no_branch_can_have_is_refused(project: Project, name: str) -> None:
    with pytest.raises(AdapterError) as caught:
        await project.workspaces.base(str(project.repo), name or "/")
    assert caught.value.kind is FailureKind.MISCONFIGURED


async def test_a_detached_head_is_refused_unless_a_branch_is_named(project: Project) -> None:
    project.git("checkout", "--quiet", "--detach")
    kind, words = await said(project, project.repo)
    assert kind is FailureKind.MISCONFIGURED
    assert "detached" in words
    assert (await project.workspaces.base(str(project.repo), "main")).branch == "main"


async def test_with_an_origin_its_head_counts_and_nothing_of_the_user_s_moves(
    project: Project,
) -> None:
    project.with_origin()
    mine = project.head()
    theirs = project.somebody_pushes(a_txt="theirs\n")
    write(project.repo / "a.txt", "half done\n")
    refs = project.git("for-each-ref", "refs/heads", "refs/remotes")
    base = await project.workspaces.base(str(project.repo), None)
    assert (base.at.commit, base.remote) == (theirs, "origin")
    assert project.head() == mine
    assert project.git("for-each-ref", "refs/heads", "refs/remotes") == refs
    assert (project.repo / "a.txt").read_text() == "half done\n"


async def test_a_mirror_refspec_does_not_move_the_user_s_branches(project: Project) -> None:
    project.with_origin()
    project.git("config", "remote.origin.fetch", "+refs/*:refs/*")
    project.git("checkout", "--quiet", "-b", "aside")
    mine = project.head("main")
    theirs = project.somebody_pushes(a_txt="theirs\n")
    assert (await project.workspaces.base(str(project.repo), "main")).at.commit == theirs
    assert project.head("main") == mine


async def test_the_remote_s_default_branch_is_taken_over_the_current_one(project: Project) -> None:
    project.with_origin()
    project.git("checkout", "--quiet", "-b", "aside")
    assert (await project.workspaces.base(str(project.repo), None)).branch == "main"


async def test_the_only_remote_counts_whatever_its_name(project: Project) -> None:
    project.with_origin()
    project.git("remote", "rename", "origin", "upstream")
    assert (await project.workspaces.base(str(project.repo), "main")).remote == "upstream"


async def test_several_remotes_without_an_origin_are_not_guessed_between(project: Project) -> None:
    project.git("remote", "add", "one", str(project.origin))
    project.git("remote", "add", "two", str(project.origin))
    kind, words = await said(project, project.repo)
    assert kind is FailureKind.MISCONFIGURED
    assert "one, two" in words


async def test_a_branch_that_the_remote_lacks_says_to_push_it(project: Project) -> None:
    project.with_origin()
    project.git("branch", "develop")
    kind, words = await said(project, project.repo, "develop")
    assert kind is FailureKind.MISCONFIGURED
    assert "git push origin develop" in words


async def test_an_origin_that_is_gone_is_unreachable(project: Project) -> None:
    project.git("remote", "add", "origin", str(project.place / "gone.git"))
    kind, words = await said(project, project.repo, "main")
    assert kind is FailureKind.UNREACHABLE
    assert "gone.git" in words


async def test_a_bare_repository_serves_as_base_and_has_no_changes(project: Project) -> None:
    project.with_origin()
    assert (await project.workspaces.base(str(project.origin), None)).branch == "main"
    assert await project.workspaces.changed(str(project.origin)) == ()


async def test_changed_names_modified_new_and_deleted_files_of_the_user_s_checkout(
    project: Project,
) -> None:
    assert await project.workspaces.changed(str(project.repo)) == ()
    write(project.repo / "a.txt", "changed\n")
    write(project.repo / "ünew file.txt", "new\n")
    (project.repo / "src" / "b.txt").unlink()
    changed = await project.workspaces.changed(str(project.repo))
    assert set(changed) == {"a.txt", "ünew file.txt", "src/b.txt"}


async def test_a_file_is_read_as_of_a_commit_and_not_from_the_checkout(project: Project) -> None:
    old = project.head()
    project.add("Second", a_txt="newer\n")
    read = project.workspaces.read
    assert await read(str(project.repo), old, "a.txt") == "one\n"
    assert await read(str(project.repo), "main", "a.txt") == "newer\n"
    assert await read(str(project.repo), old, "missing.txt") is None
    assert await read(str(project.repo), old, "src") is None


async def test_a_link_in_a_commit_is_not_followed(project: Project) -> None:
    (project.repo / "config.yml").symlink_to("/etc/passwd")
    commit = project.add("A link")
    assert await project.workspaces.read(str(project.repo), commit, "config.yml") is None


async def test_an_unknown_commit_is_named_and_an_option_is_not_obeyed(project: Project) -> None:
    for name in ("0" * 40, "--all"):
        with pytest.raises(AdapterError, match=name) as caught:
            await project.workspaces.tree(str(project.repo), name)
        assert caught.value.kind is FailureKind.MISCONFIGURED


async def test_a_replacement_ref_does_not_change_what_a_commit_names(project: Project) -> None:
    honest = project.head()
    other = project.add("Other", a_txt="other\n")
    project.git("replace", honest, other)
    at = await project.workspaces.tree(str(project.repo), honest)
    assert at.tree != project.head(f"{other}^{{tree}}")
    assert await project.workspaces.read(str(project.repo), honest, "a.txt") == "one\n"


async def test_a_diff_leaves_out_what_the_base_gained_meanwhile(project: Project) -> None:
    old = project.head()
    base = project.add("Base goes on", other_txt="x\n")
    project.git("checkout", "--quiet", "-b", "work", old)
    candidate = project.add("Work", a_txt="uno\n")
    diff = await project.workspaces.diff(str(project.repo), base, candidate)
    assert "+uno" in diff
    assert "other.txt" not in diff


async def test_an_attribute_of_the_candidate_cannot_hide_its_code(project: Project) -> None:
    base = project.head()
    write(project.repo / ".gitattributes", "*.txt -diff\n")
    candidate = project.add("Hide", a_txt="hidden\n")
    project.git("checkout", "--quiet", base)
    diff = await project.workspaces.diff(str(project.repo), base, candidate)
    assert "+hidden" in diff


async def test_every_file_that_is_shortened_or_left_out_is_named(project: Project) -> None:
    base = project.head()
    for number in range(20):
        write(project.repo / f"big-{number:02}.txt", f"{number} line\n" * 2000)
    candidate = project.add("Big")
    diff = await project.workspaces.diff(str(project.repo), base, candidate)
    shown = [n for n in range(20) if f"big-{n:02}.txt (8000 of " in diff]
    left_out = diff.partition("[Not shown: ")[2]
    hidden = [n for n in range(20) if f"big-{n:02}.txt" in left_out]
    assert sorted(shown + hidden) == list(range(20))
    assert len(shown) == DIFF_CHARACTERS_MAX // FILE_CHARACTERS_MAX


def test_a_small_patch_after_a_large_one_is_still_shown() -> None:
    parts = [(f"f{n}", "x" * 9000) for n in range(13)] + [("small", "tiny patch")]
    text = shortened(parts)
    assert "tiny patch" in text
    assert "[Not shown: 1 file(s)]\nf12\n" in text


def test_the_names_themselves_are_bounded() -> None:
    text = shortened([], [f"{n:05}-{'x' * 200}" for n in range(5000)])
    assert len(text) < 11_000
    assert "[Not shown: 5000 file(s)]" in text
    assert " more" in text
