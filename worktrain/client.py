"""What an edge may do: start, list, read, steer, decide, stop. The typed way in."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from temporalio.client import (
    Client as Temporal,
)
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDReusePolicy,
)
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from worktrain.adapters.stores import Store
from worktrain.contracts.base import Value, digest
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.pipeline import (
    PipelineEnding,
    PipelineKind,
    PipelineRequest,
    PipelineResult,
    PipelineRow,
    PipelineView,
)
from worktrain.contracts.record import LogLine
from worktrain.contracts.session import SessionClosed, SessionView
from worktrain.contracts.steering import Answer, GateAnswer, Order
from worktrain.contracts.task import Task
from worktrain.contracts.turn import Steer

ANSWER_WITHIN = timedelta(seconds=10)
"""How long a running workflow may take to answer; without a worker it never does."""
SLUG_MAX = 40


class Refused(Exception):
    """The workflow did not take what was said; the text is its reason."""


@dataclass(frozen=True)
class Begun:
    """A pipeline's id, and whether it began now or was at work already."""

    id: str
    new: bool


async def connect(config: dict[str, Any]) -> Temporal:
    """A connection to Temporal. `config`: `target_host` and what else `Client.connect` takes.

    Raises `AdapterError` unreachable, naming the address.
    """
    try:
        return await Temporal.connect(**config, data_converter=pydantic_data_converter)
    except (RPCError, RuntimeError) as error:
        where = config.get("target_host", "the configured address")
        raise AdapterError(
            FailureKind.UNREACHABLE,
            f"Temporal at {where} does not answer ({error}); start it with `worktrain up`, or "
            f"correct TEMPORAL_ADDRESS",
        ) from error


def slug_of(text: str) -> str:
    """A short readable name that may stand in an id, a branch and a path."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return words[:SLUG_MAX].rstrip("-") or "task"


def pipeline_id(workspace: str, task: Task) -> str:
    """The identity of a task's pipeline: the same task in the same workspace has the same one."""
    mark = digest("\0".join((task.source, task.title, task.body)))[:4]
    return f"task/{workspace}/{slug_of(task.title)}-{mark}"


def workspace_of(repo: str) -> str:
    """A readable name of a repository that differs from that of another one at another place."""
    name = repo.rstrip("/").rpartition("/")[2].removesuffix(".git")
    return f"{slug_of(name)}-{digest(repo)[:4]}"


class Client:
    """`by` is who the operator is, as it will stand in the proof."""

    def __init__(self, temporal: Temporal, store: Store, queue: str, by: str) -> None:
        self._temporal = temporal
        self._store = store
        self._queue = queue
        self._by = by

    # --- start and find ----------------------------------------------------------------

    async def start(self, repo: str, task: Task, kind: PipelineKind, model: str | None) -> Begun:
        """Start the pipeline of a task, or find the one that is at work on it.

        A task that has ended before is begun anew under the next free id.
        """
        workspace = workspace_of(repo)
        base_id = pipeline_id(workspace, task)
        number = 1
        while True:
            name = base_id if number == 1 else f"{base_id}.{number}"
            number += 1
            request = PipelineRequest(
                pipeline=name, workspace=workspace, repo=repo, task=task, kind=kind, model=model
            )
            # The store remembers longer than Temporal does, and a name must never come back: what
            # is stored under it would be taken for the new pipeline's.
            if await self._store.pipeline(name) is None and await self._began(request):
                return Begun(id=name, new=True)
            if await self._running(name):
                return Begun(id=name, new=False)

    async def _began(self, request: PipelineRequest) -> bool:
        """Start a pipeline; False when Temporal knows one of that name."""
        try:
            await self._temporal.start_workflow(
                "PipelineWorkflow",
                request,
                id=request.pipeline,
                task_queue=self._queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                task_timeout=timedelta(seconds=10),
                static_summary=f"{request.kind}: {request.task.title}"[:200],
                search_attributes=TypedSearchAttributes(
                    [_keyword("WtWorkspace", request.workspace), _keyword("WtStatus", "running")]
                ),
            )
        except WorkflowAlreadyStartedError:
            return False
        return True

    async def resolve(self, part: str) -> str:
        """The pipeline that a part of an id means; an id of a session is that of its pipeline.

        Raises `AdapterError` not_found: none, or more than one (they are named).
        """
        rows = await self._store.pipelines(limit=1000)
        ids = [row.id for row in rows]
        exact = [name for name in ids if part == name or part.startswith(f"{name}/")]
        found = exact or [name for name in ids if part in name]
        if len(found) == 1:
            return found[0]
        if exact:
            return max(exact, key=len)
        if not found:
            # It may be so young that it has no row yet.
            if part.startswith("task/") and await self._exists(part):
                return part
            said = f"there is no pipeline {part!r}; `worktrain status` lists them"
        else:
            said = f"{part!r} could be any of: {', '.join(found[:5])}; write more of the id"
        raise AdapterError(FailureKind.NOT_FOUND, said)

    # --- read ---------------------------------------------------------------------------

    async def pipelines(self, limit: int = 50) -> tuple[PipelineRow, ...]:
        return await self._store.pipelines(limit)

    async def row(self, pipeline: str) -> PipelineRow | None:
        return await self._store.pipeline(pipeline)

    async def sessions(self, pipeline: str) -> tuple[SessionClosed, ...]:
        return await self._store.sessions(pipeline)

    async def log(self, pipeline: str, after: int = 0) -> tuple[int, Sequence[LogLine]]:
        return await self._store.log(f"{pipeline}/", after)

    async def proof(self, commit: str) -> str | None:
        return await self._store.proof(commit)

    async def view(self, pipeline: str) -> PipelineView | PipelineResult | None:
        """How it stands, or how it ended; None while nobody can say (no worker answers)."""
        row = await self._store.pipeline(pipeline)
        if row is not None and row.result is not None:
            return row.result
        handle = self._temporal.get_workflow_handle(pipeline)
        try:
            view: PipelineView = await handle.query(
                "view", result_type=PipelineView, rpc_timeout=ANSWER_WITHIN
            )
        except (RPCError, WorkflowQueryFailedError):
            return await self._ended_outside(handle, pipeline)
        if view.session is None:
            return view
        try:
            running: SessionView = await self._temporal.get_workflow_handle(view.session).query(
                "view", result_type=SessionView, rpc_timeout=ANSWER_WITHIN
            )
        except (RPCError, WorkflowQueryFailedError):
            return view
        return view.model_copy(update={"running": running, "question": running.question})

    async def _ended_outside(self, handle: Any, pipeline: str) -> PipelineResult | None:
        """Somebody ended it through Temporal itself, so that it could not store its ending."""
        try:
            status = (await handle.describe(rpc_timeout=ANSWER_WITHIN)).status
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise AdapterError(
                    FailureKind.NOT_FOUND, f"Temporal knows no pipeline {pipeline!r}"
                ) from error
            return None
        if status in (None, WorkflowExecutionStatus.RUNNING):
            return None
        ending = (
            PipelineEnding.KILLED
            if status is WorkflowExecutionStatus.TERMINATED
            else PipelineEnding.FAILED
        )
        why = f"the workflow was {status.name.lower()} in Temporal; its history says more"
        return PipelineResult(id=pipeline, ending=ending, why=why)

    # --- steer and decide ---------------------------------------------------------------

    async def steer(self, pipeline: str, text: str) -> str:
        session = await self._session(pipeline)
        return await self._update(session, "steer", Steer(text=text, by=self._by))

    async def answer(self, pipeline: str, question: str, text: str) -> str:
        session = await self._session(pipeline)
        answer = Answer(question=question, text=text, by=self._by)
        return await self._update(session, "answer", answer)

    async def decide(
        self,
        pipeline: str,
        answer: Literal["approved", "rejected"],
        gate: str | None = None,
        reason: str = "",
    ) -> str:
        said = GateAnswer(answer=answer, by=self._by, gate=gate, reason=reason)
        return await self._update(pipeline, "decide", said)

    async def pause(self, pipeline: str) -> str:
        return await self._order(pipeline, "pause")

    async def resume(self, pipeline: str) -> str:
        return await self._order(pipeline, "resume")

    async def kill(self, pipeline: str) -> None:
        """Ask it to end; it saves its work and stores its ending first."""
        try:
            await self._temporal.get_workflow_handle(pipeline).cancel()
        except RPCError as error:
            raise Refused(f"{pipeline} is not at work") from error

    async def _order(self, pipeline: str, order: str) -> str:
        """Both the pipeline and the session that is at work are told; one that takes it is enough.

        The session first: it is the one that acts.
        """
        view = await self.view(pipeline)
        session = view.session if isinstance(view, PipelineView) else None
        refusals: list[Refused] = []
        taken: list[str] = []
        for workflow in filter(None, (session, pipeline)):
            try:
                taken.append(await self._update(workflow, order, Order(by=self._by)))
            except Refused as refusal:
                refusals.append(refusal)
        if not taken:
            raise refusals[-1]
        return taken[0]

    async def _session(self, pipeline: str) -> str:
        view = await self.view(pipeline)
        if isinstance(view, PipelineView) and view.session is not None:
            return view.session
        raise Refused(f"no session of {pipeline} is at work now")

    async def _update(self, workflow: str, name: str, said: Value) -> str:
        handle = self._temporal.get_workflow_handle(workflow)
        try:
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                return str(await handle.execute_update(name, said, result_type=str))
        except WorkflowUpdateFailedError as error:
            # The cause is our own validator's ValueError; its message is the sentence.
            raise Refused(getattr(error.cause, "message", str(error.cause))) from error
        except RPCError as error:
            raise Refused(f"{workflow} is not at work: {error.message}") from error
        except TimeoutError as error:
            raise Refused(
                f"{workflow} did not answer within {ANSWER_WITHIN.total_seconds():.0f} s; "
                f"is a worker up? `worktrain up` starts one"
            ) from error

    async def _running(self, workflow: str) -> bool:
        handle: WorkflowHandle[Any, Any] = self._temporal.get_workflow_handle(workflow)
        try:
            return (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise

    async def _exists(self, workflow: str) -> bool:
        try:
            await self._temporal.get_workflow_handle(workflow).describe()
        except RPCError:
            return False
        return True


def _keyword(name: str, value: str) -> SearchAttributePair[str]:
    return SearchAttributePair(SearchAttributeKey.for_keyword(name), value)
