"""Read, Write and Edit: what they answer, and what no symbolic link gets them to do."""

import os
from pathlib import Path

import pytest

from worktrain.activities.tools import Tools
from worktrain.adapters.shells.scripted import ScriptedShell
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.record import ToolOutput


class Worktree:
    def __init__(self, base: Path) -> None:
        self.root, self.outputs, self.outside = base / "tree", base / "outputs", base / "outside"
        for folder in (self.root, self.outputs, self.outside):
            folder.mkdir()
        self._tools = Tools(ScriptedShell([]), network=False, readable=())

    async def __call__(self, tool: str, **arguments: object) -> ToolOutput:
        return await self._tools.run(
            tool, arguments, self.root, self.outputs, "call", 60, lambda _: None
        )

    async def refused(self, tool: str, **arguments: object) -> str:
        output = await self(tool, **arguments)
        assert not output.ok, output.content
        return output.content


@pytest.fixture
def tree(tmp_path: Path) -> Worktree:
    return Worktree(tmp_path)


async def test_a_short_file_is_read_complete_with_numbers(tree: Worktree) -> None:
    (tree.root / "a.py").write_text("one\ntwo\n")
    output = await tree("Read", filePath="a.py")
    assert output == ToolOutput(
        content="[complete: lines 1-2 of 2]\n     1\tone\n     2\ttwo", ok=True
    )


async def test_a_long_file_is_read_in_pages_that_say_how_much_there_is(tree: Worktree) -> None:
    (tree.root / "a").write_text("".join(f"line {n}\n" for n in range(1, 1001)))
    first = await tree("Read", filePath="a")
    assert first.content.startswith("[partial: lines 1-400 of 1000]\n     1\tline 1\n")
    last = await tree("Read", filePath="a", offset=990, limit=400)
    assert last.content.startswith("[partial: lines 990-1000 of 1000]\n   990\tline 990")
    assert "1000 lines" in await tree.refused("Read", filePath="a", offset=1001)


async def test_reading_stops_at_sixteen_thousand_characters(tree: Worktree) -> None:
    (tree.root / "wide").write_text(("x" * 1000 + "\n") * 100)
    output = await tree("Read", filePath="wide")
    assert output.content.startswith("[partial: lines 1-15 of 100]")
    (tree.root / "one").write_text("x" * 1_000_000)
    output = await tree("Read", filePath="one")
    assert output.content.startswith("[partial: lines 1-1 of 1; the last line shown is cut]")
    assert len(output.content) < 16_100


async def test_what_is_no_text_answers_clearly(tree: Worktree) -> None:
    (tree.root / "b").write_bytes(b"\x7fELF\0\0")
    (tree.root / "empty").touch()
    (tree.root / "latin").write_bytes(b"caf\xe9\n")
    os.mkfifo(tree.root / "pipe")
    (tree.root / "folder").mkdir()
    assert await tree.refused("Read", filePath="b") == "b is a binary file of 6 bytes."
    assert (await tree("Read", filePath="empty")).content == "[complete: the file is empty]"
    assert "caf\N{REPLACEMENT CHARACTER}" in (await tree("Read", filePath="latin")).content
    assert "not a regular file" in await tree.refused("Read", filePath="pipe")
    assert "is a directory" in await tree.refused("Read", filePath="folder")


async def test_a_missing_file_names_its_nearest_neighbours(tree: Worktree) -> None:
    (tree.root / "settings.py").touch()
    said = await tree.refused("Read", filePath="setings.py")
    assert said == "setings.py does not exist. Near it: settings.py."
    assert "neither does the directory" in await tree.refused("Read", filePath="no/where.py")


async def test_a_huge_sparse_file_is_read_only_as_far_as_it_is_shown(tree: Worktree) -> None:
    with (tree.root / "huge").open("wb") as file:
        file.write(b"line\n" * 4_000_000)
        file.truncate(1 << 40)
    output = await tree("Read", filePath="huge")
    assert output.content.startswith("[partial: lines 1-400 of 4000000 or more]")


async def test_kept_output_can_be_read_but_not_written(tree: Worktree) -> None:
    kept = tree.outputs / "call_1.txt"
    kept.write_text("all of it\n")
    assert "all of it" in (await tree("Read", filePath=str(kept))).content
    assert "outside" in await tree.refused("Write", filePath=str(kept), content="x")
    assert kept.read_text() == "all of it\n"


@pytest.mark.parametrize("name", ["../outside/secret", "link", "folder/secret", "absolute"])
async def test_no_path_leads_out_of_the_worktree(tree: Worktree, name: str) -> None:
    secret = tree.outside / "secret"
    secret.write_text("planted-secret")
    (tree.root / "link").symlink_to(secret)
    (tree.root / "folder").symlink_to(tree.outside)
    name = str(secret) if name == "absolute" else name
    assert "outside the worktree" in await tree.refused("Read", filePath=name)
    assert "outside the worktree" in await tree.refused("Write", filePath=name, content="x")
    edit = {"file_path": name, "old_string": "planted", "new_string": "x"}
    assert "outside the worktree" in await tree.refused("Edit", **edit)
    assert secret.read_text() == "planted-secret"


async def test_a_dangling_link_makes_no_file_outside(tree: Worktree) -> None:
    (tree.root / "dangling").symlink_to(tree.outside / "new")
    (tree.root / "up").symlink_to("..")
    for name in ("dangling", "up/outside/new"):
        assert "outside" in await tree.refused("Write", filePath=name, content="x")
    assert list(tree.outside.iterdir()) == []


async def test_a_link_within_the_worktree_is_followed_and_stays(tree: Worktree) -> None:
    (tree.root / "real").write_text("old")
    (tree.root / "alias").symlink_to("real")
    assert (await tree("Write", filePath="alias", content="new")).ok
    assert (tree.root / "real").read_text() == "new"
    assert (tree.root / "alias").is_symlink()


async def test_a_hard_link_to_a_file_outside_is_not_written_through(tree: Worktree) -> None:
    (tree.outside / "file").write_text("before")
    os.link(tree.outside / "file", tree.root / "file")
    assert (await tree("Write", filePath="file", content="after")).ok
    assert (tree.outside / "file").read_text() == "before"


@pytest.mark.parametrize("name", [".git", ".git/hooks/pre-commit", "sub/.GIT/config", "alias/x"])
async def test_what_belongs_to_git_is_not_written(tree: Worktree, name: str) -> None:
    (tree.root / "real" / ".git").mkdir(parents=True)
    (tree.root / "alias").symlink_to("real/.git")
    assert "belongs to git" in await tree.refused("Write", filePath=name, content="x")


async def test_writing_makes_directories_and_keeps_the_mode(tree: Worktree) -> None:
    output = await tree("Write", filePath="a/b/run.sh", content="one\ntwo\n")
    assert output.content == "Made a/b/run.sh: 2 lines, 8 bytes."
    (tree.root / "a/b/run.sh").chmod(0o750)
    output = await tree("Write", filePath="a/b/run.sh", content="ü")
    assert output.content == "Replaced a/b/run.sh: 1 lines, 2 bytes."
    assert (tree.root / "a/b/run.sh").stat().st_mode & 0o777 == 0o750
    assert os.listdir(tree.root / "a/b") == ["run.sh"]


async def test_what_must_not_be_written_is_refused_and_nothing_changes(tree: Worktree) -> None:
    (tree.root / "file").write_text("before")
    os.mkfifo(tree.root / "pipe")
    assert "1000001 bytes" in await tree.refused("Write", filePath="file", content="x" * 1_000_001)
    assert "NUL" in await tree.refused("Write", filePath="file", content="a\0b")
    assert "directory" in await tree.refused("Write", filePath=".", content="x")
    assert "not a regular" in await tree.refused("Write", filePath="pipe", content="x")
    assert "not written" in await tree.refused("Write", filePath="file/below", content="x")
    assert "too long" in await tree.refused("Write", filePath="n" * 300, content="x")
    assert "NUL" in await tree.refused("Write", filePath="a\0b", content="x")
    assert "filePath holds half" in await tree.refused("Write", filePath="\ud800", content="x")
    assert (tree.root / "file").read_text() == "before"


async def test_a_full_disk_is_not_the_models_to_mend(
    tree: Worktree, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open
    monkeypatch.setattr(
        os,
        "open",
        lambda path, flags, *rest, **more: real(
            "/dev/full" if str(path).endswith(".tmp") else path,
            flags & ~os.O_EXCL if str(path).endswith(".tmp") else flags,
            *rest,
            **more,
        ),
    )
    with pytest.raises(AdapterError) as raised:
        await tree("Write", filePath="file", content="x")
    assert raised.value.kind is FailureKind.DISK_FULL
    assert os.listdir(tree.root) == []


async def test_an_exact_passage_is_replaced_and_the_diff_answered(tree: Worktree) -> None:
    (tree.root / "a.py").write_text("".join(f"line {n}\n" for n in range(1, 101)))
    output = await tree("Edit", file_path="a.py", old_string="line 50\n", new_string="fifty\n")
    assert output.content == (
        "Edited a.py:\n@@ -47,7 +47,7 @@\n line 47\n line 48\n line 49\n-line 50\n+fifty\n"
        " line 51\n line 52\n line 53"
    )
    assert (tree.root / "a.py").read_text().splitlines()[49] == "fifty"


async def test_a_passage_that_is_there_several_times_is_not_guessed(tree: Worktree) -> None:
    (tree.root / "a").write_text("x = 1\ny = 2\nx = 1\n")
    edit = {"file_path": "a", "old_string": "x = 1", "new_string": "x = 3"}
    said = await tree.refused("Edit", **edit)
    assert "2 times, on lines 1, 3" in said
    assert (await tree("Edit", **edit, replace_all=True)).ok
    assert (tree.root / "a").read_text() == "x = 3\ny = 2\nx = 3\n"


async def test_other_white_space_is_tolerated_where_it_is_unambiguous(tree: Worktree) -> None:
    (tree.root / "a").write_text("class A:\n    def f(self):\n        return  1\n\nend\n")
    output = await tree(
        "Edit",
        file_path="a",
        old_string="def f(self):\n    return 1",
        new_string="def f(self):\n    return 2",
    )
    assert output.ok, output.content
    assert (tree.root / "a").read_text() == (
        "class A:\n    def f(self):\n        return 2\n\nend\n"
    )


async def test_other_white_space_is_not_tolerated_twice(tree: Worktree) -> None:
    (tree.root / "a").write_text("if a:\n    go()\nif b:\n        go()\n")
    said = await tree.refused("Edit", file_path="a", old_string="\tgo()", new_string="stop()")
    assert "White space differs" in said
    assert "lines 2, 4" in said


async def test_line_endings_of_the_file_are_kept(tree: Worktree) -> None:
    (tree.root / "dos").write_bytes(b"one\r\ntwo\r\nthree\r\n")
    assert (await tree("Edit", file_path="dos", old_string="one\ntwo", new_string="1\n2")).ok
    assert (tree.root / "dos").read_bytes() == b"1\r\n2\r\nthree\r\n"


async def test_a_passage_that_is_not_there_shows_the_nearest_lines(tree: Worktree) -> None:
    (tree.root / "a").write_text("import os\n\ndef compute(value):\n    return value\n")
    said = await tree.refused(
        "Edit", file_path="a", old_string="def compute(values):\n    pass", new_string="x"
    )
    assert "is not in a, not even with other white space. Nearest lines:" in said
    assert "     3\tdef compute(value):\n     4\t    return value" in said
    nothing = await tree.refused("Edit", file_path="a", old_string="%%%%", new_string="x")
    assert "No line is like its first" in nothing


async def test_everything_in_a_file_can_be_removed(tree: Worktree) -> None:
    (tree.root / "a").write_text("all")
    assert (await tree("Edit", file_path="a", old_string="all", new_string="")).ok
    assert (tree.root / "a").read_bytes() == b""


async def test_an_edit_that_cannot_be_made_is_refused(tree: Worktree) -> None:
    (tree.root / "latin").write_bytes(b"caf\xe9")
    (tree.root / "big").write_text("x" * 1_000_001)
    same = {"old_string": "a", "new_string": "a"}
    assert "not UTF-8" in await tree.refused(
        "Edit", file_path="latin", old_string="c", new_string="d"
    )
    assert "1000001 bytes" in await tree.refused(
        "Edit", file_path="big", old_string="x", new_string="y"
    )
    (tree.root / "a").write_text("a")
    assert "nothing would change" in await tree.refused("Edit", file_path="a", **same)


async def test_a_large_edit_answers_a_bounded_diff(tree: Worktree) -> None:
    (tree.root / "a").write_text("x\n" * 5000)
    output = await tree("Edit", file_path="a", old_string="x", new_string="y", replace_all=True)
    assert output.content == "Edited a: 5000 lines from line 1 on."
    (tree.root / "b").write_text(f"{'x' * 90}\n" * 900)
    output = await tree("Edit", file_path="b", old_string="x", new_string="y", replace_all=True)
    assert "characters left out" in output.content
    assert len(output.content) < 4_100
