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
from worktrain.contracts.base import JsonObject, Value, digest
from worktrain.contracts.delivery import Suspension
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.pipeline import (
    PipelineEnding,
    PipelineRequest,
    PipelineResult,
    PipelineRow,
    PipelineView,
)
from worktrain.contracts.plan import Plan
from worktrain.contracts.record import LogLine
from worktrain.contracts.route import Override, PipelineKind
from worktrain.contracts.session import (
    ContinueAsked,
    RewindAsked,
    Seed,
    SessionClosed,
    SessionState,
    SessionView,
)
from worktrain.contracts.steering import Answer, GateAnswer, Order, Rewind
from worktrain.contracts.task import Task
from worktrain.contracts.trace import Trace
from worktrain.contracts.turn import Steer
from worktrain.coordinators.kinds import EDITION
from worktrain.engine.machine.checkpoint import found

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


@dataclass(frozen=True)
class SessionTrace:
    """Why a session went the way it went. Times are seconds since the epoch."""

    session: str
    opened_s: float | None
    """None while it is too young to be in the store."""
    injected: dict[str, int] | None
    """Characters of each part that it was told at its start; None when that is not stored."""
    plan: Plan | None
    """None when it is not stored."""
    entries: tuple[tuple[float | None, Trace], ...]
    """When each decision was stored, and the decision; None for one that is not stored yet."""


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

    async def start(
        self,
        repo: str,
        task: Task,
        kind: PipelineKind,
        model: str | None,
        *,
        spec: str = "",
        context: JsonObject | None = None,
        seed: Seed | None = None,
        override_reason: str = "",
    ) -> Begun:
        """Start the pipeline of a task, or find the one that is at work on it.

        A task that has ended before is begun anew under the next free id. With a reason, `kind` is
        an override: recorded, with who said it, as what labels and classification had no say in.
        """
        workspace = workspace_of(repo)
        base_id = pipeline_id(workspace, task)
        number = 1
        while True:
            name = base_id if number == 1 else f"{base_id}.{number}"
            number += 1
            request = PipelineRequest(
                pipeline=name,
                workspace=workspace,
                repo=repo,
                task=task,
                kind=kind,
                model=model,
                spec=spec,
                context=context or {},
                seed=seed,
                edition=EDITION,
                override=Override(by=self._by, pipeline=kind, reason=override_reason)
                if override_reason
                else None,
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

    async def decided(self, pipeline: str) -> tuple[tuple[str, float, Trace], ...]:
        """The stored decisions of all its sessions: session, time of storing, entry."""
        return await self._store.trace(f"{pipeline}/")

    async def traces(self, part: str) -> tuple[SessionTrace, ...]:
        """The sessions that `part` means, as they were opened: those of a pipeline, named as in
        `resolve`, or one session, by its whole id, and those that it had run.

        Raises `AdapterError` not_found.
        """
        pipeline = await self.resolve(part)
        # Before the store: what is stored in the meantime is then read twice instead of never.
        at_work = await self._at_work(pipeline)
        opened = dict(await self._store.opened(pipeline))
        entries: dict[str, dict[int, tuple[float | None, Trace]]] = {name: {} for name in opened}
        for name, at_s, entry in await self._store.trace(f"{pipeline}/"):
            entries.setdefault(name, {})[entry.n] = (at_s, entry)
        for view in at_work:
            stored = entries.setdefault(view.session, {})
            for entry in view.trace:
                stored.setdefault(entry.n, (None, entry))
        named = list(entries)
        if part.startswith(f"{pipeline}/"):
            named = [name for name in entries if f"{name}/".startswith(f"{part.rstrip('/')}/")]
            if not named:
                there = ", ".join(list(entries)[:10]) or "none yet"
                said = f"{pipeline} has no session {part!r}; its sessions: {there}"
                raise AdapterError(FailureKind.NOT_FOUND, said)
        return tuple(
            [await self._trace_of(name, opened.get(name), entries[name]) for name in named]
        )

    async def _trace_of(
        self,
        session: str,
        opened_s: float | None,
        entries: dict[int, tuple[float | None, Trace]],
    ) -> SessionTrace:
        context = await self._store.context(session)
        return SessionTrace(
            session=session,
            opened_s=opened_s,
            injected=None if context is None else context.injected,
            plan=await self._store.plan(session),
            entries=tuple(entries[number] for number in sorted(entries)),
        )

    async def _at_work(self, pipeline: str) -> list[SessionView]:
        """The session that is at work, and all that are at work for it, as far as they answer."""
        view = await self.view(pipeline)
        names = _at_work(view) if isinstance(view, PipelineView) else ()
        running = await asyncio.gather(*(self._session_view(name) for name in names))
        found: list[SessionView] = []
        level = [one for one in running if one is not None]
        while level:
            found += level
            asked = [self._session_view(child) for one in level for child in one.children]
            level = [child for child in await asyncio.gather(*asked) if child is not None]
        return found

    async def proof(self, commit: str) -> str | None:
        return await self._store.proof(commit)

    async def suspensions(self) -> tuple[Suspension, ...]:
        """Where nothing is merged without a person, in all repositories, oldest first."""
        return await self._store.suspensions()

    async def lift(self, suspension: str, why: str) -> bool:
        """False when somebody else has lifted it already."""
        return await self._store.lift(suspension, self._by, why)

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
        found = await asyncio.gather(*(self._session_view(name) for name in _at_work(view)))
        sessions = [one for one in found if one is not None]
        if not sessions:
            return view
        # Who waits is more to the point than who works, or has them work.
        running = next(filter(_waits, sessions), None)
        for one in sessions:
            running = running or await self._waiting_below(one)
        running = running or sessions[0]
        return view.model_copy(
            update={
                "running": running,
                "question": running.question,
                "gate": view.gate or running.gate,
            }
        )

    async def _waiting_below(self, view: SessionView) -> SessionView | None:
        """The first session among the children, and theirs, that waits for a person."""
        for name in view.children:
            child = await self._session_view(name)
            if child is None:
                continue
            if _waits(child):
                return child
            if found_below := await self._waiting_below(child):
                return found_below
        return None

    async def _session_view(self, session: str) -> SessionView | None:
        """How a session stands; None when it does not answer."""
        try:
            view: SessionView = await self._temporal.get_workflow_handle(session).query(
                "view", result_type=SessionView, rpc_timeout=ANSWER_WITHIN
            )
        except (RPCError, WorkflowQueryFailedError):
            return None
        return view

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
        view = await self.view(pipeline)
        running = view.running if isinstance(view, PipelineView) else None
        asking = running is not None and running.question is not None
        session = running.session if running and asking else await self._session(pipeline)
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
        view = await self.view(pipeline)
        running = view.running if isinstance(view, PipelineView) else None
        # The gate of a step is the session's own.
        at = running.session if running is not None and running.gate is not None else pipeline
        return await self._update(at, "decide", said)

    async def rewind(self, pipeline: str, to: str, reason: str) -> str:
        """Put the session that is at work back to a checkpoint or to the newest of a step."""
        session = await self._session(pipeline)
        return await self._update(session, "rewind", Rewind(to=to, reason=reason, by=self._by))

    async def fork(self, session: str, to: str, reason: str) -> Begun:
        """Begin a session that goes on from a checkpoint of another one, ended or not.

        Raises `Refused`: nobody knows the session, or it has no such checkpoint.
        """
        state = await self._state_of(session)
        point = found(state, to)
        if point is None:
            known = ", ".join(f"{one.id} ({one.step})" for one in state.checkpoints)
            raise Refused(f"{session} has no checkpoint {to!r}; there are {known or 'none'}")
        event = RewindAsked(checkpoint=point.id, reason=reason, by=self._by)
        return await self._go_on_from(state, event, f"fork of {session} at {point.id}")

    async def go_on(self, session: str, text: str) -> Begun:
        """Ask a finished session for more: it does its last step again, with this said.

        Raises `Refused`: nobody knows the session, or it is not at an end of its spec.
        """
        state = await self._state_of(session)
        view = await self._temporal.get_workflow_handle(session).describe()
        if view.status is WorkflowExecutionStatus.RUNNING:
            raise Refused(f"{session} is at work; `worktrain steer` says something to it")
        if not state.checkpoints or state.waiting:
            raise Refused(f"{session} did not end at a step; `worktrain fork` goes on from one")
        event = ContinueAsked(text=text, by=self._by)
        return await self._go_on_from(state, event, f"continuation of {session}: {text}")

    async def _go_on_from(
        self, state: SessionState, event: RewindAsked | ContinueAsked, source: str
    ) -> Begun:
        request = state.request
        task = request.task.model_copy(update={"source": source})
        return await self.start(
            request.repo,
            task,
            PipelineKind.SPEC,
            request.model,
            spec=request.spec,
            seed=Seed(state=state, event=event),
        )

    async def _state_of(self, session: str) -> SessionState:
        handle = self._temporal.get_workflow_handle(session)
        try:
            state: SessionState | None = await handle.query(
                "state", result_type=SessionState, rpc_timeout=ANSWER_WITHIN
            )
        except (RPCError, WorkflowQueryFailedError) as error:
            raise Refused(
                f"nobody can say how {session!r} stands: {error}; is a worker up, and is that "
                f"the id of a session? `worktrain show` lists them"
            ) from error
        if state is None:
            raise Refused(f"{session} was never opened, so there is nothing to go on from")
        return state

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
        """The pipeline, the session at work and its children are told; one that takes it is enough.

        The sessions first: they are the ones that act.
        """
        view = await self.view(pipeline)
        names = _at_work(view) if isinstance(view, PipelineView) else ()
        below = await asyncio.gather(*(self._with_children(name) for name in names))
        sessions = [one for names_below in below for one in names_below]
        refusals: list[Refused] = []
        taken: list[str] = []
        for workflow in (*sessions, pipeline):
            try:
                taken.append(await self._update(workflow, order, Order(by=self._by)))
            except Refused as refusal:
                refusals.append(refusal)
        if not taken:
            raise refusals[-1]
        return taken[0]

    async def _with_children(self, session: str) -> tuple[str, ...]:
        """A session and all those that work for it, the lowest first."""
        view = await self._session_view(session)
        below = [await self._with_children(child) for child in view.children] if view else []
        return (*(name for names in below for name in names), session)

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


def _at_work(view: PipelineView) -> tuple[str, ...]:
    """The pipeline's own sessions that are at work: one, or several slices side by side."""
    return view.sessions or ((view.session,) if view.session else ())


def _waits(view: SessionView) -> bool:
    """Whether a session waits for a person."""
    return bool(view.question or view.gate or view.held)


def _keyword(name: str, value: str) -> SearchAttributePair[str]:
    return SearchAttributePair(SearchAttributeKey.for_keyword(name), value)
