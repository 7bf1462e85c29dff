"""What a candidate changes, read from git: hostile paths and lines, renames, bounds."""

import os
from pathlib import Path

import pytest

from tests.adapters.conftest import Project, write
from worktrain.adapters.workspaces.comparing import (
    HUNKS_MAX,
    LINE_CHARACTERS_MAX,
    LINES_MAX,
    LINES_OF_A_FILE_MAX,
    Part,
    collected,
)
from worktrain.adapters.workspaces.in_memory import InMemoryRepository, InMemoryWorkspaces
from worktrain.contracts.examination import AddedLine, Changes
from worktrain.contracts.failure import AdapterError, FailureKind


async def changes(project: Project, base: str = "main~", candidate: str = "main") -> Changes:
    return await project.workspaces.changes(str(project.repo), base, candidate)


def added(found: Changes, path: str) -> list[tuple[int, str]]:
    return [(line.line, line.text) for line in found.added[path]]


async def test_every_kind_of_change_is_told_with_its_lines(project: Project) -> None:
    write(project.repo / "old.txt", "".join(f"{n}\n" for n in range(30)))
    write(project.repo / "gone.txt", "x\ny\n")
    project.add("More files")
    project.git("mv", "old.txt", "moved.txt")
    (project.repo / "gone.txt").unlink()
    write(project.repo / "moved.txt", "".join(f"{n}\n" for n in range(31)))
    project.add("Change", a_txt="zero\none\ntwo", new_txt="first\r\n")
    found = await changes(project)
    told = [(f.path, f.status, f.added, f.removed, f.was, f.hunks) for f in found.files]
    assert told == [
        ("a.txt", "modified", 2, 0, "", ((1, 1), (3, 3))),
        ("gone.txt", "deleted", 0, 2, "", ()),
        ("moved.txt", "renamed", 1, 0, "old.txt", ((31, 31),)),
        ("new.txt", "added", 1, 0, "", ((1, 1),)),
    ]
    assert added(found, "a.txt") == [(1, "zero"), (3, "two")]
    assert added(found, "new.txt") == [(1, "first")]
    assert found.unread == {}


async def test_a_part_that_only_takes_lines_away_stands_at_the_line_before(
    project: Project,
) -> None:
    project.add("Long", a_txt="1\n2\n3\n4\n")
    project.add("Short", a_txt="1\n4\n")
    assert (await changes(project)).files[0].hunks == ((1, 1),)
    project.add("Shorter", a_txt="4\n")
    assert (await changes(project)).files[0].hunks == ((1, 1),)


async def test_lines_that_look_like_a_patch_are_lines(project: Project) -> None:
    hostile = [
        "diff --git a/x b/x",
        "@@ -1,5 +1,5 @@",
        "+++ b/other.py",
        "--- a/other.py",
        "\\ No newline at end of file",
        "Binary files a/x and b/x differ",
    ]
    project.add("Hostile", a_txt="\n".join(hostile), z_txt="after\n")
    found = await changes(project)
    assert added(found, "a.txt") == list(enumerate(hostile, 1))
    assert added(found, "z.txt") == [(1, "after")]
    project.add("Turned around", a_txt="\n".join(reversed(hostile)))
    again = await changes(project)
    assert {text for _, text in added(again, "a.txt")} <= {*hostile}
    assert "z.txt" not in again.added


@pytest.mark.parametrize(
    "name", ["a b\tc.txt", 'q"uote.txt', "new\nline.txt", "-n", ":(top)x", "é.txt", "+++ b", "\\x"]
)
async def test_hostile_paths_come_back_as_they_are(project: Project, name: str) -> None:
    write(project.repo / name, "one\n")
    project.add("Hostile name")
    project.git("mv", "--", name, f"to {name}")
    project.add("Renamed", z_txt="last\n")
    found = await changes(project)
    assert [(f.path, f.was) for f in found.files if f.was] == [(f"to {name}", name)]
    first = await changes(project, "main~2", "main")
    assert added(first, f"to {name}") == [(1, "one")]
    assert added(first, "z.txt") == [(1, "last")]


async def test_a_path_that_is_no_text_is_told_and_hides_no_other(project: Project) -> None:
    for raw, content in ((b"\xff.py", "one\n"), (b"\xfe.py", "two\n")):
        Path(os.fsdecode(os.fsencode(project.repo) + b"/" + raw)).write_text(content)
    project.add("No text")
    found = await changes(project)
    assert [file.path for file in found.files] == ["\ufffd.py"] * 2
    assert {text for _, text in added(found, "\ufffd.py")} == {"one", "two"}


async def test_binary_and_huge_files_are_named_as_unread(project: Project) -> None:
    (project.repo / "bin").write_bytes(b"\0\1")
    (project.repo / "huge.txt").write_text("x" * 9_000_000)
    project.add("Binary")
    found = await changes(project)
    assert {*found.unread} == {"bin", "huge.txt"}
    assert found.added == {}
    (project.repo / "bin").unlink()
    project.add("Without it")
    assert (await changes(project)).unread == {}


async def test_attributes_of_the_candidate_hide_nothing(project: Project) -> None:
    write(project.repo / ".gitattributes", "*.py binary -diff\n")
    write(project.repo / "x.py", "import os\n")
    project.add("Declares its code binary")
    assert added(await changes(project), "x.py") == [(1, "import os")]


async def test_a_file_that_became_a_link_shifts_nothing(project: Project) -> None:
    (project.repo / "a.txt").unlink()
    (project.repo / "a.txt").symlink_to("/etc/passwd")
    (project.repo / "src" / "b.txt").chmod(0o755)
    project.add("Link", z_txt="last\n")
    found = await changes(project)
    assert [file.status for file in found.files] == ["modified", "modified", "added"]
    assert added(found, "a.txt") == [(1, "/etc/passwd")]
    assert added(found, "z.txt") == [(1, "last")]
    assert found.files[1].hunks == ()


async def test_what_the_base_gained_meanwhile_is_not_this_change(project: Project) -> None:
    project.git("branch", "work")
    project.add("Elsewhere", a_txt="base goes on\n")
    project.git("checkout", "--quiet", "work")
    project.add("Work", w_txt="work\n")
    found = await changes(project, "main", "work")
    assert [file.path for file in found.files] == ["w.txt"]


async def test_an_unknown_commit_is_a_sentence(project: Project) -> None:
    with pytest.raises(AdapterError) as caught:
        await changes(project, "main", "f" * 40)
    assert caught.value.kind is FailureKind.MISCONFIGURED


async def test_a_flood_of_lines_is_cut_and_crowds_out_nothing_small(project: Project) -> None:
    flood = "".join(f"{n}\n" for n in range(LINES_OF_A_FILE_MAX + 10))
    for number in range(12):
        write(project.repo / f"{number:02}.txt", flood)
    project.add("Flood", zz_txt="small\n")
    found = await changes(project)
    assert added(found, "zz.txt") == [(1, "small")]
    assert sum(map(len, found.added.values())) == LINES_MAX
    assert max(map(len, found.added.values())) == LINES_OF_A_FILE_MAX
    assert {*found.unread} == {f"{number:02}.txt" for number in range(12)}
    assert found.unread["00.txt"] == "10 of 2010 added lines: too many"
    assert len(found.files) == 13


async def test_a_patch_too_large_to_read_names_every_file_it_did_not_reach(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worktrain.adapters.workspaces.comparing.PATCH_BYTES_MAX", 400)
    project.add("Three", b_txt="b\n", c_txt="c" * 500 + "\n", d_txt="d\n")
    found = await changes(project)
    assert [file.path for file in found.files] == ["b.txt", "c.txt", "d.txt"]
    assert {*found.added} == {"b.txt"}
    assert {*found.unread} == {"c.txt", "d.txt"}


def test_long_lines_and_many_parts_are_bounded_without_a_silence() -> None:
    hunks = [(n, n) for n in range(1, 1000, 2)]
    lines = [AddedLine(line=1, text="x" * (LINE_CHARACTERS_MAX + 1))]
    found = collected([Part("a", "modified", added=1, hunks=hunks, lines=lines)])
    assert len(found.files[0].hunks) == HUNKS_MAX
    assert found.files[0].hunks[-1] == (399, 999)
    assert len(found.added["a"][0].text) == LINE_CHARACTERS_MAX
    assert "2,000 characters" in found.unread["a"]


async def test_the_twin_in_memory_tells_the_same(project: Project) -> None:
    before = {"a.txt": "one\ntwo\nthree\n", "b.txt": "b\n", "gone.txt": "g\n"}
    after = {"a.txt": "zero\none\nthree\nfour", "moved.txt": "b\n", "new.txt": "n\r\n"}
    repository = InMemoryRepository(before)
    base = repository.refs["main"]
    dropped = dict.fromkeys(("b.txt", "gone.txt"))
    candidate = repository.advance("main", {**after, **dropped}, "Change").commit
    twin = await InMemoryWorkspaces({"repo": repository}).changes("repo", base, candidate)
    for path in ("a.txt", "src/b.txt"):
        (project.repo / path).unlink()
    for files in (before, after):
        for path in before if files is after else ():
            (project.repo / path).unlink()
        for path, content in files.items():
            write(project.repo / path, content)
        project.add("Files")
    assert await changes(project) == twin
