"""Everything outside in memory, behind real workflows, activities and a real client."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from temporalio.client import Client as Temporal
from temporalio.client import WorkflowHandle

from worktrain.adapters.forges.in_memory import InMemoryForge
from worktrain.adapters.models import ModelClient
from worktrain.adapters.models.scenario import Scenario, text_of
from worktrain.adapters.models.scripted import ScriptedModel
from worktrain.adapters.shells import Shell
from worktrain.adapters.shells.scripted import ScriptedShell
from worktrain.adapters.stores.in_memory import InMemoryStore
from worktrain.adapters.workspaces.in_memory import InMemoryRepository, InMemoryWorkspaces
from worktrain.client import Client, connect
from worktrain.contracts.delivery import CommitReply, CommitRequest, SnapshotRequest
from worktrain.contracts.pipeline import PipelineKind, PipelineResult, PipelineView
from worktrain.contracts.session import SessionRequest, SessionResult, SessionStart, SessionView
from worktrain.contracts.task import Task
from worktrain.contracts.workspace import (
    CONFIG_PATH,
    CommitRef,
    Limits,
    ModelNames,
    SandboxRules,
    Worktree,
    WorktreeRequest,
)
from worktrain.embedded import Endpoints
from worktrain.settings import load
from worktrain.wiring import Outside, worker

REPO = "memory"
Turn = dict[str, Any]

NOTES = "Looked at everything that there is to look at, and wrote down what was found in it."
DISCOVERY = {
    "kind": "wr.discovery_handoff",
    "selectedDirection": "The obvious one.",
    "confidenceBand": "high",
}
SHAPING = {
    "kind": "wr.shaping_handoff",
    "selectedShape": "One line.",
    "appetite": "small",
    "acceptanceCriteria": [{"id": "AC1", "statement": "It works."}],
}
CODING = {"kind": "wr.coding_handoff", "commitSubject": "Make it work"}
CLEAN = {
    "kind": "wr.review_verdict",
    "verdict": "clean",
    "confidence": "high",
    "summary": "Right.",
}
MINOR = {
    **CLEAN,
    "verdict": "minor",
    "findings": [{"severity": "minor", "summary": "A corner is wrong."}],
}
MATCH = {
    "discovery": "This session is discovery",
    "shaping": "This session is shaping",
    "coding": "This session is coding",
    "review": "This session is a review",
    "fix": "This session mends a change",
}


def calls(*wanted: tuple[str, dict[str, Any]], **more: Any) -> Turn:
    """A reply that calls tools."""
    return {"calls": [{"tool": tool, "input": given} for tool, given in wanted], **more}


def notes() -> Turn:
    return calls(("complete_step", {"notes": NOTES}))


def deliver(artifact: dict[str, Any]) -> Turn:
    return calls(("complete_step", {"artifacts": [artifact]}))


def write(path: str, content: str) -> Turn:
    return calls(("Write", {"filePath": path, "content": content}))


def session(phase: str, *turns: Turn, match: str | None = None) -> dict[str, Any]:
    """A session of a scenario; `match` narrows down which one of its phase is meant."""
    pattern = f"(?s){MATCH[phase]}.*{match}" if match else MATCH[phase]
    return {"name": f"{phase} {match or ''}".strip(), "match": pattern, "turns": list(turns)}


def follows(spec: str, *turns: Turn) -> dict[str, Any]:
    """A session of a scenario: the one that follows a spec of `Office.add_spec`."""
    return {"name": spec, "match": f"This session follows {spec}\\.", "turns": list(turns)}


def quick(*, code: str = "done", then: tuple[dict[str, Any], ...] = ()) -> list[dict[str, Any]]:
    """Coding that writes `code` to a file, and a review that finds it clean."""
    return [
        *then,
        session("coding", write("work.txt", code), notes(), deliver(CODING)),
        session("review", notes(), deliver(CLEAN)),
    ]


class OnDisk(InMemoryWorkspaces):
    """In-memory repositories whose worktrees are real directories: tools read and write them."""

    async def open(self, request: WorktreeRequest, root: Path, queue: str) -> Worktree:
        worktree = await super().open(request, root, queue)
        for path, content in self.worktrees[worktree.root].files.items():
            file = Path(worktree.root) / path
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content)
        return worktree

    async def commit(self, request: CommitRequest) -> CommitReply:
        self._look(request.worktree)
        return await super().commit(request)

    async def snapshot(self, request: SnapshotRequest) -> CommitRef:
        self._look(request.worktree)
        return await super().snapshot(request)

    def _look(self, worktree: Worktree) -> None:
        """See what tools have made of the files."""
        root = Path(worktree.root)
        self.worktrees[worktree.root].files = {
            str(file.relative_to(root)): file.read_text()
            for file in sorted(root.rglob("*"))
            if file.is_file()
        }


@dataclass
class Office:
    """One worker on a queue of its own; `ran` are the ids of all workflows it was asked for."""

    temporal: Temporal
    queue: str
    home: Path
    model: ModelClient
    """Who answers from now on: a scenario (`plays`), or whoever is put here."""
    repository: InMemoryRepository
    workspaces: InMemoryWorkspaces
    forge: InMemoryForge
    store: InMemoryStore
    client: Client
    ran: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    """What the model was told last, at each of its calls."""

    @classmethod
    @asynccontextmanager
    async def opened(cls, server: Endpoints, home: Path) -> AsyncIterator["Office"]:
        temporal = await connect({"target_host": server.address, "namespace": server.namespace})
        queue = f"office-{uuid4().hex[:8]}"
        repository = InMemoryRepository({"README.md": "A repository.\n"})
        repositories = {REPO: repository}
        workspaces = OnDisk(repositories)
        store = InMemoryStore()
        forge = InMemoryForge(repositories)
        office = cls(
            temporal=temporal,
            queue=queue,
            home=home,
            model=ScriptedModel(Scenario(sessions=())),
            repository=repository,
            workspaces=workspaces,
            forge=forge,
            store=store,
            client=Client(temporal, store, queue, "tester"),
        )
        shell = ScriptedShell([("", "done")])

        async def choose(rules: SandboxRules, scratch: Path) -> tuple[Shell, str]:
            return shell, "scripted"

        reached = Outside(
            store=store,
            model=_Speaking(office),
            workspaces=workspaces,
            forge=forge,
            choose_shell=choose,
        )
        settings = load({"WORKTRAIN_HOME": str(home), "HOME": str(home)})
        async with worker(temporal, settings, reached, queue):
            yield office

    def plays(self, *sessions: dict[str, Any]) -> None:
        """What the model says from now on."""
        self.model = ScriptedModel(Scenario.model_validate({"sessions": sessions}))

    def configure(self, text: str) -> None:
        """Commit a configuration to the base branch."""
        self.repository.advance("main", {CONFIG_PATH: text}, "Configure")

    def add_spec(self, name: str, text: str) -> None:
        """Commit a spec to the base branch; its system prompt is `This session follows NAME.`"""
        head = f"id: {name}\nname: {name}\ndescription: A spec of a test.\nversion: 1.0.0\n"
        head += f"systemPrompt: This session follows {name}.\n"
        self.repository.advance(
            "main", {f".worktrain/specs/{name}.yaml": head + text}, f"Add {name}"
        )

    async def run_session(self, **changes: Any) -> WorkflowHandle[Any, SessionResult]:
        """Start a session of the spec `discovery` by itself."""
        base = self.repository.refs["main"]
        name = f"session-{uuid4().hex[:8]}"
        request = SessionRequest.model_validate(
            {
                "session": name,
                "pipeline": "none",
                "phase": "discovery",
                "spec": "discovery",
                "repo": REPO,
                "base": base,
                "at": base,
                "branch": None,
                "task": Task(source="typed", title="Make it work"),
                "sections": (),
                "limits": Limits(),
                "models": ModelNames(),
                "model": None,
                "sandbox": SandboxRules(),
                **changes,
            }
        )
        self.ran.append(name)
        return await self.temporal.start_workflow(
            "SessionWorkflow",
            SessionStart(request=request),
            id=name,
            task_queue=self.queue,
            result_type=SessionResult,
            # A story whose session is held for ever fails instead of hanging.
            execution_timeout=timedelta(seconds=60),
        )

    async def session_until(self, name: str, true: Callable[[SessionView], bool]) -> SessionView:
        """Wait until a session looks as wanted."""
        handle = self.temporal.get_workflow_handle(name)
        async with asyncio.timeout(20):
            while True:
                view: SessionView = await handle.query("view", result_type=SessionView)
                if true(view):
                    return view
                await asyncio.sleep(0.02)

    async def begin(self, kind: PipelineKind = PipelineKind.QUICK, title: str = "") -> str:
        """Start a pipeline; its id."""
        task = Task(source="typed", title=title or f"Make it work {uuid4().hex[:6]}")
        begun = await self.client.start(REPO, task, kind, None)
        self.ran.append(begun.id)
        return begun.id

    async def ended(self, pipeline: str) -> PipelineResult:
        """Wait for the end of a pipeline."""
        handle = self.temporal.get_workflow_handle(pipeline, result_type=PipelineResult)
        async with asyncio.timeout(30):
            result: PipelineResult = await handle.result()
        self.ran += [record.session for record in result.phases]
        return result

    async def until(self, pipeline: str, true: Callable[[PipelineView], bool]) -> PipelineView:
        """Wait until a pipeline looks as wanted."""
        async with asyncio.timeout(20):
            while True:
                view = await self.client.view(pipeline)
                if isinstance(view, PipelineView) and true(view):
                    return view
                await asyncio.sleep(0.02)


class _Speaking:
    """The model of an office, which may be given another scenario while it works."""

    def __init__(self, office: Office) -> None:
        self._office = office

    async def reply(self, request: Any, progress: Any) -> Any:
        self._office.heard.append(text_of(request.messages[-1]))
        return await self._office.model.reply(request, progress)
