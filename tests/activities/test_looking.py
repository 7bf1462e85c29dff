"""What changed outside is seen: the base, the work branch, the task, what is suspended."""

import os
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from worktrain.activities.looking import LookingActivities
from worktrain.adapters.stores.in_memory import InMemoryStore
from worktrain.adapters.workspaces.in_memory import InMemoryRepository, InMemoryWorkspaces
from worktrain.contracts.delivery import (
    LookRequest,
    ShowChangeRequest,
    Surroundings,
    Suspension,
)
from worktrain.contracts.task import Task
from worktrain.contracts.workspace import Base
from worktrain.coordinators.intent import task_from

BRANCH = "worktrain/fix-it"
ISSUE = "---\nlabels: [bug]\n---\n# Fix it\n\nIt is broken.\n"


class Place:
    """A repository with a work branch, and an issue file beside it."""

    def __init__(self, place: Path) -> None:
        self.repository = InMemoryRepository({"a.txt": "one\n"})
        self.store = InMemoryStore()
        self.activities = LookingActivities(
            self.store, InMemoryWorkspaces({"repo": self.repository})
        )
        self.issue = place / "issue.md"
        self.issue.write_text(ISSUE)
        self.task = task_from(ISSUE, "issue:issue.md", str(self.issue))
        self.base = Base(branch="main", at=self.repository.at(self.repository.refs["main"]))
        self.repository.refs[BRANCH] = self.base.at.commit

    async def look(self, task: Task | None = None, known: str | None = None) -> Surroundings:
        request = LookRequest(
            pipeline="p",
            repo="repo",
            base=self.base,
            branch=BRANCH,
            known=known or self.base.at.commit,
            task=task or self.task,
        )
        found: Surroundings = await ActivityEnvironment().run(self.activities.look_around, request)
        return found


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_where_nothing_happened_there_is_nothing_to_tell(place: Place) -> None:
    assert await place.look() == Surroundings(base=place.base.at)


async def test_a_base_that_moved_is_told(place: Place) -> None:
    now = place.repository.advance("main", {"b.txt": "b\n"}, "Meanwhile")
    assert await place.look() == Surroundings(base=now)


async def test_commits_of_others_on_the_work_branch_are_told(place: Place) -> None:
    theirs = place.repository.advance(BRANCH, {"b.txt": "b\n"}, "Let me help")
    found = (await place.look()).foreign
    assert found is not None
    assert (found.head, found.by) == (theirs, ("Somebody <somebody@example.invalid>",))
    assert (await place.look(known=theirs.commit)).foreign is None


async def test_an_edited_task_is_told_as_it_reads_now(place: Place) -> None:
    place.issue.write_text(ISSUE.replace("broken", "slow"))
    now = (await place.look()).task
    assert now is not None
    assert (now.title, now.body, now.labels) == ("Fix it", "It is slow.", ("bug",))
    assert (now.source, now.place) == (place.task.source, place.task.place)


async def test_a_file_that_is_gone_or_unreadable_is_no_edit(place: Place) -> None:
    for content in (b"\xff\xfe", b"---\nlabels: [bug\n---\n# Other\n", b"", b"x" * 900_000):
        place.issue.write_bytes(content)
        assert (await place.look()).task is None
    place.issue.unlink()
    assert (await place.look()).task is None
    os.mkfifo(place.issue)
    assert (await place.look()).task is None


async def test_a_typed_task_is_never_read_again(place: Place) -> None:
    assert (await place.look(Task(source="typed", title="Other"))).task is None


async def test_paths_of_all_suspensions_of_the_repository_are_told_once(place: Place) -> None:
    for name, repo, paths in (
        ("s1", "repo", ("src", "docs")),
        ("s2", "repo", ("src",)),
        ("s3", "other", ("lib",)),
    ):
        await place.store.suspend(Suspension(id=name, repo=repo, paths=paths, why="red"))
    assert (await place.look()).suspended == ("src", "docs")
    await place.store.lift("s1", "Olive", "Mended.")
    assert (await place.look()).suspended == ("src",)


async def test_a_base_branch_that_is_gone_is_an_error_and_no_news(place: Place) -> None:
    del place.repository.refs["main"]
    with pytest.raises(ApplicationError, match="no branch 'main'"):
        await place.look()


async def test_a_change_is_put_where_a_session_can_be_told_of_it(place: Place) -> None:
    after = place.repository.advance("main", {"a.txt": "uno\n"}, "Change it")
    shown = await ActivityEnvironment().run(
        place.activities.show_change,
        ShowChangeRequest(repo="repo", before=place.base.at.commit, after=after.commit),
    )
    change = await place.store.get_blob(shown.digest)
    assert "-one" in change
    assert "+uno" in change
