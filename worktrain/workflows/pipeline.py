"""One pipeline: a task led through its phases, to a merge or another named ending."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar, assert_never

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from worktrain.workflows import attributes
from worktrain.workflows.ask import CallError
from worktrain.workflows.operated import Operated
from worktrain.workflows.session import SessionWorkflow

with workflow.unsafe.imports_passed_through():
    from worktrain.contracts.calls import (
        ATTACH_PROOF,
        CLOSE_PIPELINE,
        CLOSE_WORKTREE,
        COMMIT_WORK,
        MERGE,
        OPEN_PIPELINE,
        REBASE,
        VERIFY,
    )
    from worktrain.contracts.delivery import CloseWorktreeRequest, MergeRequest, ProofRequest
    from worktrain.contracts.pipeline import (
        Begun,
        CommitWork,
        Decided,
        End,
        Merge,
        OpenGate,
        PipelineCommand,
        PipelineEnding,
        PipelineEvent,
        PipelineKilled,
        PipelineKind,
        PipelineRequest,
        PipelineResult,
        PipelineState,
        PipelineView,
        Prove,
        Proven,
        Rebase,
        RunSession,
        SessionEnded,
        StepFailed,
        Verified,
        Verify,
    )
    from worktrain.contracts.proof import Decision, Proof
    from worktrain.contracts.session import Seed, SessionRequest, SessionStart
    from worktrain.contracts.steering import Gate, GateAnswer
    from worktrain.coordinators.feature import result_of
    from worktrain.coordinators.kinds import COORDINATORS

Reply = TypeVar("Reply")


@workflow.defn
class PipelineWorkflow(Operated):
    """Asks the coordinator what is next until it says how the pipeline ends."""

    @workflow.init
    def __init__(self, request: PipelineRequest) -> None:
        super().__init__()
        self._request = request
        self._state: PipelineState | None = None
        self._gate: Gate | None = None
        self._decision: Decision | None = None
        self._session: str | None = None
        self._calls = 0
        self._proof: str | None = None
        self._doing = "opening"

    @workflow.run
    async def run(self, request: PipelineRequest) -> PipelineResult:
        try:
            opened = await self._ask(
                OPEN_PIPELINE, request, key="1", summary=f"base and rules of {request.workspace}"
            )
        except CallError as error:
            return await self._close_unopened(PipelineEnding.FAILED, error.failure.said)
        except asyncio.CancelledError:
            return await self._close_unopened(PipelineEnding.KILLED, "killed on request")
        coordinator = COORDINATORS[request.kind]
        route = coordinator.route
        state = PipelineState(
            request=request, opened=opened, phase=coordinator.first, base=opened.base
        )
        state, command = route(state, Begun())
        while not isinstance(command, End):
            self._state = state
            workflow.upsert_search_attributes([attributes.PHASE.value_set(state.phase)])
            try:
                event = await self._carry_out(command)
            except CallError as error:
                event = StepFailed(failure=error.failure)
            except asyncio.CancelledError:
                event = PipelineKilled(why="killed on request")
            state, command = route(state, event)
        self._state = state
        return await self._close(state, command)

    @workflow.update(description="Approve or reject the gate that the pipeline waits at.")
    def decide(self, answer: GateAnswer) -> str:
        assert self._gate is not None
        candidate = self._state.candidate if self._state else None
        self._decision = Decision(
            gate=self._gate.id,
            answer=answer.answer,
            by=answer.by,
            reason=answer.reason,
            tree=candidate.tree if candidate else None,
        )
        return f"{answer.answer} {self._gate.id}"

    @decide.validator
    def _check_decide(self, answer: GateAnswer) -> None:
        if self._gate is None or self._decision is not None:
            raise ValueError("no gate is open")
        if answer.gate is not None and answer.gate != self._gate.id:
            raise ValueError(f"the open gate is {self._gate.id!r}")

    @workflow.query
    def view(self) -> PipelineView:
        state = self._state
        return PipelineView(
            id=self._request.pipeline,
            title=self._request.task.title,
            phase=state.phase if state else "",
            session=self._session,
            doing=self._doing,
            gate=self._gate,
            held=self._held,
            paused=self._paused_by is not None,
            records=state.records if state else (),
            usage=state.usage if state else PipelineView.model_fields["usage"].default,
            cost_microdollars=state.cost_microdollars if state else 0,
            passes=state.passes if state else 0,
        )

    async def _carry_out(self, command: PipelineCommand) -> PipelineEvent:
        self._calls += 1
        key = str(self._calls)
        match command:
            case RunSession(request=session, seed=seed):
                return await self._run_session(session, seed)
            case CommitWork(request=commit):
                self._now("committing")
                return await self._ask(
                    COMMIT_WORK,
                    commit,
                    key=key,
                    summary=f"commit: {commit.subject}",
                    queue=commit.worktree.queue,
                )
            case Verify(request=verify):
                self._now("running the checks on base and candidate")
                names = ", ".join(one.name for one in verify.commands) or "no checks"
                found = await self._ask(
                    VERIFY,
                    verify,
                    key=key,
                    summary=f"checks on {verify.candidate.commit[:12]}: {names}",
                )
                return Verified(verification=found)
            case OpenGate(gate=gate, text=text):
                return Decided(decision=await self._decided(Gate(id=gate, text=text)))
            case Rebase(request=rebase):
                self._now(f"rebasing onto {rebase.onto.commit[:12]}")
                return await self._ask(
                    REBASE,
                    rebase,
                    key=key,
                    summary=f"rebase onto {rebase.onto.commit[:12]}",
                    queue=rebase.worktree.queue,
                )
            case Merge(request=merge):
                return await self._merge(merge, key)
            case Prove(proof=proof):
                return await self._prove(proof, key)
            case End():
                raise AssertionError("an ending is not carried out")
            case _:
                assert_never(command)

    async def _run_session(self, session: SessionRequest, seed: Seed | None) -> SessionEnded:
        self._session = session.session
        self._now(f"{session.phase}: {session.session}")
        if self._paused_by is not None:
            with self._waiting("paused"):
                await workflow.wait_condition(lambda: self._paused_by is None)
        result = await workflow.execute_child_workflow(
            SessionWorkflow.run,
            SessionStart(request=session, seed=seed),
            id=session.session,
            # Left to end by itself, so that it stores its ending and saves its work.
            parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
            static_summary=f"{session.phase}: {session.task.title}"[:200],
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(attributes.WORKSPACE, self._request.workspace),
                    SearchAttributePair(attributes.PHASE, session.phase),
                    SearchAttributePair(attributes.SPEC, session.spec),
                    SearchAttributePair(attributes.STATUS, "running"),
                    SearchAttributePair(attributes.PARENT, session.pipeline),
                ]
            ),
            task_timeout=timedelta(seconds=10),
        )
        self._session = None
        return SessionEnded(result=result)

    async def _decided(self, gate: Gate) -> Decision:
        self._gate, self._decision = gate, None
        with self._waiting("waiting"):
            await workflow.wait_condition(lambda: self._decision is not None)
        decision, self._decision, self._gate = self._decision, None, None
        assert decision is not None
        return decision

    async def _merge(self, merge: MergeRequest, key: str) -> PipelineEvent:
        self._now(f"merging {merge.candidate.commit[:12]} into {merge.base.branch}")
        reply, interrupted = await self._uninterrupted(
            self._ask(
                MERGE,
                merge,
                key=key,
                summary=f"merge {merge.candidate.commit[:12]} into {merge.base.branch}",
            )
        )
        if interrupted and reply.kind != "merged":
            return PipelineKilled(why="killed on request, before it was merged")
        return reply

    async def _prove(self, proof: Proof, key: str) -> Proven:
        assert self._state is not None
        self._now("attaching the proof")
        reply, _ = await self._uninterrupted(
            self._ask(
                ATTACH_PROOF,
                ProofRequest(repo=self._request.repo, base=self._state.base, proof=proof),
                key=key,
                summary=f"proof of {proof.merged.commit[:12]}",
            )
        )
        self._proof = reply.digest
        return Proven(digest=reply.digest)

    async def _uninterrupted(self, act: Awaitable[Reply]) -> tuple[Reply, bool]:
        """See an act on the outside through to its outcome, even when killed meanwhile."""
        task = asyncio.ensure_future(act)
        interrupted = False
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                interrupted = True
        return task.result(), interrupted

    async def _close(self, state: PipelineState, end: End) -> PipelineResult:
        self._now(f"ended {end.ending}")
        why = end.why
        if state.worktree is not None:
            merged = end.ending is PipelineEnding.MERGED
            # A session by itself that committed nothing leaves no branch behind.
            by_itself = self._request.kind is PipelineKind.SPEC and state.candidate is None
            closed = await self._ask(
                CLOSE_WORKTREE,
                CloseWorktreeRequest(
                    worktree=state.worktree, keep_branch=not (merged or by_itself)
                ),
                key="last",
                summary="remove the worktree",
                queue=state.worktree.queue,
            )
            if closed.saved:
                why += f"; what was not committed is kept as {closed.saved}"
        result = result_of(state, end.model_copy(update={"why": why}), self._proof)
        return await self._stored(result)

    async def _close_unopened(self, ending: PipelineEnding, why: str) -> PipelineResult:
        return await self._stored(PipelineResult(id=self._request.pipeline, ending=ending, why=why))

    async def _stored(self, result: PipelineResult) -> PipelineResult:
        await self._ask(CLOSE_PIPELINE, result, key="1", summary=f"ended {result.ending}")
        workflow.upsert_search_attributes(
            [
                attributes.STATUS.value_set("ended"),
                attributes.ENDING.value_set(result.ending),
                attributes.COST_USD.value_set(result.cost_usd),
            ]
        )
        return result

    def _now(self, doing: str) -> None:
        self._doing = doing
        self._show()

    def _details(self) -> list[str]:
        lines = [self._doing]
        if self._gate is not None:
            lines.append(
                f"Waits at gate `{self._gate.id}`: {self._gate.text}\n\n"
                f"`worktrain approve {self._request.pipeline} {self._gate.id}`, or `reject`"
            )
        if self._state is not None:
            lines += [
                f"- {record.phase}: {record.ending}, {record.turns} turns, "
                f"USD {record.cost_microdollars / 1e6:.2f}"
                for record in self._state.records
            ]
        return lines
