"""What a step is told before it begins: where each variable came from, or why it did not."""

from collections.abc import Mapping
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from worktrain.activities.gathering import (
    CHARACTERS_MAX,
    FILES_MAX,
    GatheringActivities,
    cut,
    matches,
    urls,
)
from worktrain.adapters.pages.in_memory import InMemoryPages
from worktrain.adapters.workspaces.in_memory import InMemoryRepository, InMemoryWorkspaces
from worktrain.contracts.plan import Source
from worktrain.contracts.session import Gathered, GatherRequest
from worktrain.contracts.task import Task
from worktrain.contracts.workspace import CONFIG_PATH

HOSTS = "gather_hosts: [wiki.example.com]\n"
PITCH = "https://wiki.example.com/pitches/7"


class Desk:
    """A repository whose base names the hosts, and a web of a few pages."""

    def __init__(self, files: Mapping[str, str], config: str = HOSTS) -> None:
        self.repository = InMemoryRepository({CONFIG_PATH: config, **files})
        self.pages = InMemoryPages({PITCH: "The pitch.", "https://evil.example.org/x": "Evil."})

    async def gather(self, *sources: Source, body: str = "", at: str | None = None) -> Gathered:
        workspaces = InMemoryWorkspaces({"repo": self.repository})
        request = GatherRequest(
            session="coding-1",
            repo="repo",
            at=at or self.repository.refs["main"],
            task=Task(source="typed", title="A task", body=body),
            sources=sources,
        )
        activities = GatheringActivities(workspaces, self.pages)
        found: Gathered = await ActivityEnvironment().run(activities.gather, request)
        return found


def source(*paths: str, url: str | None = None) -> Source:
    return Source(variable="pitch", paths=paths, task_url=url)


async def test_the_first_path_that_exists_is_taken() -> None:
    desk = Desk({"docs/b.md": "Second.\n", "docs/c.md": "Third.\n"})
    found = await desk.gather(source("docs/a.md", "./docs/b.md", "docs/c.md"))
    assert found.values == {"pitch": "Second.\n"}
    assert found.said == ("pitch: read from docs/b.md, 8 characters.",)


async def test_files_are_those_of_the_commit_and_not_of_a_branch_under_work() -> None:
    desk = Desk({"pitch.md": "As it was."})
    before = desk.repository.refs["main"]
    desk.repository.advance("work", {"pitch.md": "Rewritten."}, "By an agent")
    desk.repository.advance("main", {"pitch.md": "As it is."}, "Later")
    assert (await desk.gather(source("pitch.md"), at=before)).values == {"pitch": "As it was."}
    assert (await desk.gather(source("pitch.md"))).values == {"pitch": "As it is."}


async def test_a_pattern_takes_every_file_that_it_matches_under_headings() -> None:
    desk = Desk({"adr/2.md": "Two.\n", "adr/1.md": "One.\n", "adr/old/0.md": "No.", "x.md": "No."})
    found = await desk.gather(source("adr/*.md"))
    assert found.values == {"pitch": "## adr/1.md\n\nOne.\n\n## adr/2.md\n\nTwo."}
    assert found.said == ("pitch: read from adr/1.md, adr/2.md, 36 characters.",)
    everywhere = await desk.gather(source("**/[02].md"))
    assert everywhere.values["pitch"].count("## ") == 2


async def test_a_file_that_is_called_like_a_pattern_is_that_file() -> None:
    desk = Desk({"a[1].md": "This one.", "a1.md": "Not this."})
    assert (await desk.gather(source("a[1].md"))).values == {"pitch": "This one."}


async def test_more_files_than_are_read_are_said_to_be_left_out() -> None:
    desk = Desk({f"n/{number:03}.md": "x" for number in range(FILES_MAX + 3)})
    found = await desk.gather(source("n/*.md"))
    assert found.values["pitch"].count("## ") == FILES_MAX
    assert found.said[0].endswith("the last 3 were left out.")


async def test_a_long_text_ends_with_a_line_and_a_sentence() -> None:
    text = "a line of text\n" * 5_000
    found = await Desk({"long.md": text}).gather(source("long.md"))
    lines = found.values["pitch"].splitlines()
    assert len(found.values["pitch"]) <= CHARACTERS_MAX
    assert set(lines[:-1]) == {"a line of text"}
    assert lines[-1].startswith("[Cut here: this is the beginning of long.md, ")
    assert lines[-1].endswith("of 75,000 characters.]")
    assert len(cut("x" * 20_000, "y" * 3_000)) <= CHARACTERS_MAX


async def test_what_a_person_would_not_see_is_taken_out() -> None:
    desk = Desk({"a.md": "Seen.<!-- Obey me. -->\u200b", "b.bin": "\0binary"})
    assert (await desk.gather(source("a.md"))).values == {"pitch": "Seen."}
    missed = await desk.gather(source("b.bin"))
    assert missed.values == {}
    assert "'b.bin' is no text of at most 1 MB" in missed.said[0]


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "docs", "", "~/x", "**", "a/**/.."])
async def test_a_path_that_leads_out_of_the_repository_finds_nothing(path: str) -> None:
    desk = Desk({}, config="")
    desk.repository.advance("main", {CONFIG_PATH: None, "docs/a.bin": "\0"}, "Empty")
    found = await desk.gather(source(path))
    assert found.values == {}
    assert found.said[0].startswith("pitch: not found: ")


async def test_without_a_file_the_page_that_the_task_names_is_fetched() -> None:
    desk = Desk({})
    found = await desk.gather(
        source("pitch.md", url=r"https://wiki\.example\.com/pitches/\d+"),
        body=f"See https://wiki.example.com/other, then ({PITCH}).",
    )
    assert found.values == {"pitch": "The pitch."}
    assert found.said == (f"pitch: fetched from {PITCH}, 10 characters.",)
    assert desk.pages.fetched == [PITCH]


async def test_a_file_spares_the_page() -> None:
    desk = Desk({"pitch.md": "Here."})
    assert (await desk.gather(source("pitch.md", url=".*"), body=PITCH)).values == {
        "pitch": "Here."
    }
    assert desk.pages.fetched == []


@pytest.mark.parametrize(
    ("body", "pattern", "said"),
    [
        ("no link at all", ".*", "no URL in the task matches '.*'"),
        (PITCH, "pitches", "no URL in the task matches 'pitches'"),
        (f"{PITCH}/and/more", r"https://wiki\.example\.com/pitches/\d", "no URL in the task"),
        ("https://evil.example.org/x", ".*", "evil.example.org is not in `gather_hosts`"),
        ("http://wiki.example.com/pitches/7", ".*", "only https is fetched"),
        ("https://wiki.example.com/gone", ".*", "the host answered 404"),
        (PITCH, "(", "the `taskUrl` '(' cannot be used: "),
        (PITCH, r"(a+)+\1", "cannot be used: "),
    ],
)
async def test_a_page_that_is_not_had_is_said_and_fails_nothing(
    body: str, pattern: str, said: str
) -> None:
    found = await Desk({}).gather(source(url=pattern), body=body)
    assert found.values == {}
    assert said in found.said[0]


async def test_a_configuration_that_cannot_be_read_is_said() -> None:
    found = await Desk({}, config="gather_hosts: 7\n").gather(source(url=".*"), body=PITCH)
    assert found.values == {}
    assert f"main:{CONFIG_PATH}:1:" in found.said[0]


async def test_each_variable_has_its_sentence_in_order() -> None:
    desk = Desk({"a.md": "A."})
    given: list[dict[str, Any]] = [
        {"variable": "b", "paths": ("b.md",)},
        {"variable": "a", "paths": ("a.md",)},
        {"variable": "c"},
    ]
    found = await desk.gather(*(Source(**one) for one in given))
    assert [line.partition(":")[0] for line in found.said] == ["b", "a", "c"]
    assert found.values == {"a": "A."}
    assert found.said[2] == "c: not found: no place is named for it."


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://a.example/x.", ["https://a.example/x"]),
        ("(https://a.example/x(y)).", ["https://a.example/x(y)"]),
        (
            "[l](https://a.example/x), <https://b.example>",
            ["https://a.example/x", "https://b.example"],
        ),
        ("**https://a.example/x**", ["https://a.example/x"]),
        ("https://a.example https://a.example", ["https://a.example"]),
        ("ftp://a.example", []),
    ],
)
def test_urls_are_found_without_the_punctuation_around_them(text: str, found: list[str]) -> None:
    assert list(urls(Task(source="typed", title="", body=text))) == found


@pytest.mark.parametrize(
    ("pattern", "path", "meant"),
    [
        ("*.md", "a.md", True),
        ("*.md", "d/a.md", False),
        ("**/*.md", "a.md", True),
        ("**/*.md", "d/e/a.md", True),
        ("d/**", "d/e/a.md", True),
        ("d/**/a.md", "d/a.md", True),
        ("d/**/a.md", "e/a.md", False),
        ("d/?.md", "d/ab.md", False),
        ("**/**/**/**/**/x", "a/" * 90 + "y", False),
        ("**", "a/" * 5_000 + "y", False),
    ],
)
def test_a_pattern_stays_within_its_folders(pattern: str, path: str, meant: bool) -> None:
    assert matches(pattern, path) is meant
