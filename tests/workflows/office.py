"""Everything outside in memory, behind real workflows, activities and a real client."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from temporalio.client import Client as Temporal
from temporalio.client import WorkflowHandle

from tests.workflows.project import ProjectShell
from worktrain.adapters.forges.in_memory import InMemoryForge
from worktrain.adapters.models import ModelClient
from worktrain.adapters.models.scenario import Scenario, text_of
from worktrain.adapters.models.scripted import ScriptedModel
from worktrain.adapters.shells import Shell
from worktrain.adapters.signing.in_memory import InMemorySigner
from worktrain.adapters.stores.in_memory import InMemoryStore
from worktrain.adapters.workspaces.in_memory import InMemoryRepository, InMemoryWorkspaces
from worktrain.client import Client, connect, pipeline_id, workspace_of
from worktrain.contracts.delivery import (
    CloseWorktreeReply,
    CloseWorktreeRequest,
    CommitReply,
    CommitRequest,
    RebaseReply,
    RebaseRequest,
    SnapshotRequest,
)
from worktrain.contracts.pipeline import PipelineRequest, PipelineResult, PipelineView
from worktrain.contracts.route import PipelineKind
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
CLASSIFIED = {
    "kind": "wr.classification",
    "taskComplexity": "Small",
    "riskLevel": "Low",
    "hasUI": False,
    "touchesArchitecture": False,
    "taskType": "chore",
    "recommendedPipeline": ["quick-task", "review"],
    "rationale": "One file, one line.",
    "interpretation": "Write a file.",
    "interpretationConfidence": "high",
}
LOOKED_BACK = {
    "kind": "wr.retrospective",
    "summary": "It was a small thing.",
    "lessons": ["The file work.txt holds the work."],
}
MATCH = {
    "classify": "This session classifies a task",
    "audit": "This session audits",
    "look-back": "This session looks back on one pipeline",
    "discovery": "This session is discovery",
    "shaping": "This session is shaping",
    "coding": "This session (is coding|makes one small change)",
    "review": "This session is a review",
    "fix": "This session mends a change",
    "rebase": "This session brings a change onto code that has moved on",
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


def all_done() -> Turn:
    """The step of a quick task that changes something, with its list ticked off."""
    todo = [{"item": number, "done": True} for number in (1, 2, 3)]
    return calls(("complete_step", {"notes": NOTES, "todo": todo}))


def looked() -> Turn:
    """A look at the work, as everybody owes it who judges."""
    return calls(("Read", {"filePath": "work.txt"}))


def classify(**changes: Any) -> dict[str, Any]:
    return session("classify", notes(), deliver({**CLASSIFIED, **changes}))


def look_back() -> dict[str, Any]:
    return session("look-back", deliver(LOOKED_BACK))


def small(*others: dict[str, Any], code: str = "done") -> list[dict[str, Any]]:
    """A small task that is classified, coded, and looked back at; the others do the rest."""
    fits = calls(("complete_step", {"notes": NOTES, "context": {"fits": True}}))
    coder = session("coding", fits, write("work.txt", code), all_done(), deliver(CODING))
    return [classify(), coder, *others, look_back()]


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
        for place, known in self.worktrees.items():
            if place == str(root) or known.branch == request.branch is not None:
                self._look(place)
        worktree = await super().open(request, root, queue)
        _lay_out(Path(worktree.root), self.worktrees[worktree.root].files)
        return worktree

    async def commit(self, request: CommitRequest) -> CommitReply:
        self._look(request.worktree.root)
        reply = await super().commit(request)
        self._show(request.worktree.root)
        return reply

    async def rebase(self, request: RebaseRequest) -> RebaseReply:
        self._look(request.worktree.root)
        reply = await super().rebase(request)
        self._show(request.worktree.root)
        return reply

    async def checkout(self, repo: str, commit: str, root: Path) -> None:
        await super().checkout(repo, commit, root)
        _lay_out(root, self.checkouts[str(root)])

    async def discard(self, repo: str, root: Path) -> None:
        await super().discard(repo, root)
        shutil.rmtree(root, ignore_errors=True)

    async def close(self, request: CloseWorktreeRequest) -> CloseWorktreeReply:
        self._look(request.worktree.root)
        closed = await super().close(request)
        shutil.rmtree(request.worktree.root, ignore_errors=True)
        return closed

    async def snapshot(self, request: SnapshotRequest) -> CommitRef:
        self._look(request.worktree.root)
        return await super().snapshot(request)

    def _look(self, root: str) -> None:
        """See what tools have made of the files."""
        if root in self.worktrees:
            self.worktrees[root].files = {
                str(file.relative_to(root)): file.read_text()
                for file in sorted(Path(root).rglob("*"))
                if file.is_file()
            }

    def _show(self, root: str) -> None:
        """Have the directory hold what the worktree holds now."""
        _lay_out(Path(root), self.worktrees[root].files)


def _lay_out(root: Path, files: Mapping[str, str]) -> None:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)


@dataclass
class Office:
    """One worker on a queue of its own; `ran` are the ids of all workflows it was asked for."""

    temporal: Temporal
    queue: str
    home: Path
    repo: str
    """Its own name, so that no lane is shared with another office on the same server."""
    model: ModelClient
    """Who answers from now on: a scenario (`plays`), or whoever is put here."""
    repository: InMemoryRepository
    workspaces: InMemoryWorkspaces
    forge: InMemoryForge
    store: InMemoryStore
    client: Client
    shell: ProjectShell
    ran: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    """What the model was told last, at each of its calls."""
    meanwhile: list[tuple[str, Callable[[], object]]] = field(default_factory=list)
    """What others do, once, while the model answers to what has such a text in it."""

    @classmethod
    @asynccontextmanager
    async def opened(cls, server: Endpoints, home: Path) -> AsyncIterator["Office"]:
        temporal = await connect({"target_host": server.address, "namespace": server.namespace})
        queue = f"office-{uuid4().hex[:8]}"
        repo = f"memory-{queue}"
        repository = InMemoryRepository({"README.md": "A repository.\n"})
        repositories = {repo: repository}
        workspaces = OnDisk(repositories)
        store = InMemoryStore()
        forge = InMemoryForge(repositories)
        office = cls(
            temporal=temporal,
            queue=queue,
            home=home,
            repo=repo,
            model=ScriptedModel(Scenario(sessions=())),
            repository=repository,
            workspaces=workspaces,
            forge=forge,
            store=store,
            client=Client(temporal, store, queue, "tester"),
            shell=ProjectShell(),
        )

        async def choose(rules: SandboxRules, scratch: Path) -> tuple[Shell, str]:
            return office.shell, "scripted"

        reached = Outside(
            store=store,
            model=_Speaking(office),
            workspaces=workspaces,
            forge=forge,
            choose_shell=choose,
            signer=InMemorySigner(),
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
                "repo": self.repo,
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

    async def begin(
        self, kind: PipelineKind = PipelineKind.QUICK, title: str = "", **task: Any
    ) -> str:
        """Start the pipeline of a task; its id."""
        wanted = {"source": "typed", "title": title or f"Make it work {uuid4().hex[:6]}", **task}
        begun = await self.client.start(self.repo, Task(**wanted), kind, None)
        self.ran.append(begun.id)
        return begun.id

    async def begin_first_edition(
        self, kind: PipelineKind = PipelineKind.QUICK, title: str = ""
    ) -> str:
        """Start a pipeline as the first edition did; its id."""
        task = Task(source="typed", title=title or f"Make it work {uuid4().hex[:6]}")
        workspace = workspace_of(self.repo)
        name = pipeline_id(workspace, task)
        request = PipelineRequest(
            pipeline=name, workspace=workspace, repo=self.repo, task=task, kind=kind
        )
        await self.temporal.start_workflow(
            "PipelineWorkflow", request, id=name, task_queue=self.queue
        )
        self.ran.append(name)
        return name

    async def ended(self, pipeline: str) -> PipelineResult:
        """Wait for the end of a pipeline."""
        handle = self.temporal.get_workflow_handle(pipeline, result_type=PipelineResult)
        # A delivery runs four sessions and more; on a busy machine each takes seconds.
        async with asyncio.timeout(90):
            result: PipelineResult = await handle.result()
        self.ran += [record.session for record in result.phases]
        return result

    async def until(self, pipeline: str, true: Callable[[PipelineView], bool]) -> PipelineView:
        """Wait until a pipeline looks as wanted."""
        async with asyncio.timeout(60):
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
        told = "\n".join([*request.system, *map(text_of, request.messages)])
        self._office.heard.append(text_of(request.messages[-1]))
        for one in [one for one in self._office.meanwhile if re.search(one[0], told)]:
            self._office.meanwhile.remove(one)
            one[1]()
        return await self._office.model.reply(request, progress)
