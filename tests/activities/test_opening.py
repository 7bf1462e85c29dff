"""Opening a session: which spec it follows, and how one that cannot be followed is told."""

from pathlib import Path

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
from worktrain.contracts.session import SessionOpened, SessionRequest
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
        self.activities = OpeningActivities(
            InMemoryStore(),
            self.workspaces,
            Sandboxes(choose, home / "scratch"),
            home / "worktrees",
            home,
            "host",
        )

    async def open(self, spec: str) -> SessionOpened:
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
            self.activities.open_session, request
        )
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
