"""Opening: what a pipeline and a session start from, and how what is wrong is told."""

from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from worktrain.activities.opening import PLAN_BYTES_MAX, OpeningActivities
from worktrain.activities.sandbox import Sandboxes
from worktrain.adapters.shells import Shell
from worktrain.adapters.shells.scripted import ScriptedShell
from worktrain.adapters.stores.in_memory import InMemoryStore
from worktrain.adapters.workspaces.in_memory import InMemoryRepository, InMemoryWorkspaces
from worktrain.contracts.delivery import SnapshotRequest
from worktrain.contracts.pipeline import Opened, PipelineEnding, PipelineRequest, PipelineResult
from worktrain.contracts.plan import Context
from worktrain.contracts.route import PipelineKind
from worktrain.contracts.session import Diff, SessionOpened, SessionRequest
from worktrain.contracts.task import Task
from worktrain.contracts.workspace import (
    CommitRef,
    Limits,
    ModelNames,
    SandboxRules,
    WorktreeRequest,
)

SPEC = """\
id: {id}
name: Mine
description: A spec.
version: 1.0.0
steps:
  - id: only-step
    title: {title}
    prompt: Do it.
"""


async def choose(rules: SandboxRules, scratch: Path) -> tuple[Shell, str]:
    return ScriptedShell([]), "scripted"


class Front:
    """A repository with one host that opens sessions on it."""

    def __init__(self, home: Path, **specs: str) -> None:
        files = {f".worktrain/specs/{name}.yaml": text for name, text in specs.items()}
        self.repository = InMemoryRepository({"README.md": "Here.\n", **files})
        self.workspaces = InMemoryWorkspaces({"repo": self.repository})
        self.store = InMemoryStore()
        self.activities = OpeningActivities(
            self.store,
            self.workspaces,
            Sandboxes(choose, home / "scratch"),
            home / "worktrees",
            home,
            "host",
        )

    async def open(self, spec: str, **changes: Any) -> SessionOpened:
        base = self.repository.refs["main"]
        request = SessionRequest(
            session="s-1",
            pipeline="p-1",
            phase="coding",
            spec=spec,
            repo="repo",
            base=base,
            at=base,
            branch=None,
            task=Task(source="typed", title="A task"),
            sections=(),
            limits=Limits(),
            models=ModelNames(),
            model=None,
            sandbox=SandboxRules(),
        )
        opened: SessionOpened = await ActivityEnvironment().run(
            self.activities.open_session, request.model_copy(update=changes)
        )
        return opened

    async def begin(self, source: str = "typed", edition: int = 2, number: int = 1) -> Opened:
        request = PipelineRequest(
            pipeline=f"task/w/t-{number}",
            workspace="w",
            repo="repo",
            task=Task(source=source, title="A task"),
            kind=PipelineKind.REVIEW,
            edition=edition,
        )
        opened: Opened = await ActivityEnvironment().run(self.activities.open_pipeline, request)
        return opened

    async def refused(self, spec: str) -> str:
        with pytest.raises(ApplicationError) as caught:
            await self.open(spec)
        assert caught.value.type == "misconfigured"
        assert caught.value.non_retryable
        return caught.value.message


async def test_a_session_follows_the_spec_as_it_stands_on_its_base(tmp_path: Path) -> None:
    front = Front(tmp_path, mine=SPEC.format(id="mine", title="As on the base"))
    changed = {".worktrain/specs/mine.yaml": SPEC.format(id="mine", title="As the agent likes")}
    front.repository.refs["work"] = front.repository.refs["main"]
    front.repository.advance("work", changed, "By an agent")
    assert [step.title for step in (await front.open("mine")).plan.steps] == ["As on the base"]
    assert (await front.open("review")).plan.spec == "review"


async def test_the_user_s_own_specs_are_found_in_the_home(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "a.yaml").write_text(SPEC.format(id="of-the-user", title="T"))
    assert (await Front(tmp_path).open("of-the-user")).plan.spec == "of-the-user"


async def test_a_spec_that_is_not_there_is_told_with_the_nearest(tmp_path: Path) -> None:
    said = await Front(tmp_path, mine=SPEC.format(id="my-review", title="T")).refused("my-revue")
    assert said.startswith("Reading the spec 'my-revue': there is no spec 'my-revue'; did you mean")
    assert "'my-review'" in said


async def test_what_is_wrong_is_told_with_file_line_and_column(tmp_path: Path) -> None:
    front = Front(
        tmp_path,
        unreadable=SPEC.format(id="unreadable", title="[a list]"),
        twice=SPEC.format(id="twice", title="T") + "  - {id: only-step, title: T, prompt: P}\n",
        good=SPEC.format(id="good", title="T"),
    )
    assert ".worktrain/specs/unreadable.yaml:7:12: " in await front.refused("unreadable")
    assert ".worktrain/specs/twice.yaml:" in await front.refused("twice")
    assert (await front.open("good")).plan.spec == "good"


async def test_a_plan_that_no_history_can_hold_is_refused(tmp_path: Path) -> None:
    steps = "".join(
        f"  - {{id: step-{n:05}-{'long-' * 10}, title: {'long ' * 24}, prompt: P}}\n"
        for n in range(1_000)
    )
    front = Front(tmp_path, huge=SPEC.format(id="huge", title="T") + steps)
    said = await front.refused("huge")
    assert f"at most {PLAN_BYTES_MAX:,} fit into the history of a session" in said


async def test_a_snapshot_is_asked_of_the_workspaces(tmp_path: Path) -> None:
    front = Front(tmp_path)
    request = WorktreeRequest(session="s-1", repo="repo", at=front.repository.refs["main"])
    worktree = await ActivityEnvironment().run(front.activities.open_worktree, request)
    front.workspaces.worktrees[worktree.root].files["new.txt"] = "new"
    at: CommitRef = await ActivityEnvironment().run(
        front.activities.snapshot, SnapshotRequest(worktree=worktree, key="k")
    )
    assert await front.workspaces.read("repo", at.commit, "new.txt") == "new"


async def test_a_session_is_shown_its_change_and_then_every_other_one(tmp_path: Path) -> None:
    front = Front(tmp_path, mine=SPEC.format(id="mine", title="T"))
    base = front.repository.refs["main"]
    first = front.repository.advance("main", {"a.txt": "one\n"}, "One")
    second = front.repository.advance("main", {"a.txt": "two\n"}, "Two")
    diffs = (
        Diff(title="The first half", before=base, after=first.commit),
        Diff(title="The second half", before=first.commit, after=second.commit),
    )
    opened = await front.open("mine", base=base, at=second.commit, diffs=diffs)
    context = Context.model_validate_json(await front.store.get_blob(opened.context))
    titles = [title for title in context.injected if title != "the task"]
    assert titles == [
        "The change so far, as a diff against the base",
        "The first half",
        "The second half",
    ]
    _, whole, one, two = context.opening.split("\n# ")
    assert "+two" in whole
    assert "+one" in one
    assert "+two" not in one
    assert "-one\n+two" in two


async def test_a_pipeline_begins_with_the_size_of_its_base_and_what_was_learned_there(
    tmp_path: Path,
) -> None:
    front = Front(tmp_path)
    front.repository.advance("main", {"a.txt": "1", "b/c.txt": "2"}, "More")
    for number in range(1, 8):
        opened = await front.begin(number=number)
        ended = PipelineResult(
            id=f"task/w/t-{number}",
            ending=PipelineEnding.NO_CHANGE,
            why="There was nothing to do.",
            workspace="w",
            repo="repo",
            lessons=(f"Lesson {number}.",),
        )
        await ActivityEnvironment().run(front.activities.close_pipeline, ended)
    assert opened.files == 3
    assert opened.candidate is None
    opened = await front.begin(number=8)
    assert opened.lessons == tuple(f"Lesson {number}." for number in (7, 6, 5, 4, 3))


async def test_a_pipeline_of_the_first_edition_begins_with_base_and_rules_alone(
    tmp_path: Path,
) -> None:
    opened = await Front(tmp_path).begin(source="branch:no-such", edition=1)
    assert opened == Opened(base=opened.base, config=opened.config)


async def test_the_branch_that_a_task_names_is_what_is_judged(tmp_path: Path) -> None:
    front = Front(tmp_path)
    front.repository.refs["topic/login"] = front.repository.refs["main"]
    head = front.repository.advance("topic/login", {"a.txt": "1"}, "A topic")
    opened = await front.begin(source="branch:topic/login")
    assert opened.candidate == head
    assert opened.base.branch == "main"
    assert opened.base.at != head


@pytest.mark.parametrize("branch", ["no-such", ""])
async def test_a_branch_that_is_not_there_is_named(tmp_path: Path, branch: str) -> None:
    with pytest.raises(ApplicationError) as caught:
        await Front(tmp_path).begin(source=f"branch:{branch}")
    assert caught.value.type == "misconfigured"
    assert f"the branch {branch!r} that the task is about" in caught.value.message
