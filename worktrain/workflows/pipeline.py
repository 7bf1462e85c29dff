"""One pipeline: a task led through its phases, to a merge or another named ending."""

import asyncio
from collections.abc import Awaitable, Mapping
from datetime import timedelta
from typing import TypeVar, assert_never

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import FailureError

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
        ENTER_LANE,
        EXAMINE,
        LOOK_AROUND,
        MERGE,
        OPEN_PIPELINE,
        OPEN_REVERT,
        POST_REVIEW,
        REBASE,
        RECORD_DECISION,
        SEAL_PROOF,
        SHOW_CHANGE,
        SUSPEND,
        VERIFY,
    )
    from worktrain.contracts.delivery import (
        CloseWorktreeRequest,
        LaneRequest,
        MergeRequest,
        ProofRequest,
        SealRequest,
        ShowChangeRequest,
    )
    from worktrain.contracts.failure import Failure, FailureKind
    from worktrain.contracts.pipeline import (
        AskAgain,
        Begun,
        CommitWork,
        Decided,
        End,
        EnterLane,
        Examine,
        Examined,
        LaneGranted,
        LaneLeft,
        LeaveLane,
        LookAround,
        LookedAround,
        Merge,
        OpenGate,
        OpenRevert,
        PipelineCommand,
        PipelineEnding,
        PipelineEvent,
        PipelineKilled,
        PipelineRequest,
        PipelineResult,
        PipelineState,
        PipelineView,
        PostReview,
        Prove,
        Proven,
        Rebase,
        RunSession,
        RunSessions,
        Seal,
        Sealed,
        SessionEnded,
        SessionsEnded,
        StepFailed,
        Suspend,
        Suspended,
        Unanswered,
        Verified,
        Verify,
    )
    from worktrain.contracts.proof import Decision, Proof
    from worktrain.contracts.record import Decided as DecisionRecord
    from worktrain.contracts.route import PipelineKind
    from worktrain.contracts.session import (
        ContinueAsked,
        GoOn,
        Seed,
        SessionEnding,
        SessionRequest,
        SessionResult,
        SessionStart,
    )
    from worktrain.contracts.steering import Gate, GateAnswer
    from worktrain.contracts.workspace import Worktree
    from worktrain.coordinators.duties.ending import lane_of, result_of
    from worktrain.coordinators.kinds import coordinator_of
    from worktrain.coordinators.sessions import branch_of

Reply = TypeVar("Reply")

CHECKING: Mapping[str, str] = {
    "candidate": "running the checks on base and candidate",
    "slice": "running the checks on what is joined so far",
    "watch": "running the checks on the base branch after the merge",
}


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
        self._about: tuple[str, ...] = ()
        self._session: str | None = None
        self._at_work: list[str] = []
        self._parked: dict[str, workflow.ChildWorkflowHandle[SessionWorkflow, SessionResult]] = {}
        self._delivered: dict[str, SessionResult] = {}
        self._lane: str | None = None
        self._wants_turn = False
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
        coordinator = coordinator_of(request)
        route = coordinator.route
        state = PipelineState(
            request=request, opened=opened, phase=coordinator.first, base=opened.base
        )
        state, command = route(state, Begun())
        while not isinstance(command, End):
            self._state = state
            try:
                await self._let_go_but(state.reviewer)
                workflow.upsert_search_attributes([attributes.PHASE.value_set(state.phase)])
                event = await self._carry_out(command)
            except CallError as error:
                event = StepFailed(failure=error.failure)
            except asyncio.CancelledError:
                event = PipelineKilled(why="killed on request")
            worked_s = workflow.time() - workflow.info().start_time.timestamp() - self._waited_s
            state, command = route(state.model_copy(update={"worked_s": worked_s}), event)
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
            about=self._about,
            channel=answer.channel,
            at_s=workflow.time(),
        )
        return f"{answer.answer} {self._gate.id}"

    @decide.validator
    def _check_decide(self, answer: GateAnswer) -> None:
        if self._gate is None or self._decision is not None:
            raise ValueError("no gate is open")
        if answer.gate is not None and answer.gate != self._gate.id:
            raise ValueError(f"the open gate is {self._gate.id!r}")
        wanted = self._gate.reason_wanted and answer.answer == "approved"
        if wanted and not answer.reason.strip():
            raise ValueError("a reason is needed: it stands in the proof; add --reason WHY")

    @workflow.signal(description="A parked session has delivered.")
    def delivered(self, result: SessionResult) -> None:
        self._delivered[result.record.session] = result

    @workflow.signal(description="It is this pipeline's turn to merge.")
    async def lane_granted(self, lane: str) -> None:
        if self._wants_turn:
            self._lane = lane
        else:
            # Asked for twice, and granted again after it was given back.
            await self._leave(lane)

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
            sessions=tuple(self._at_work),
            parked=next(iter(self._parked), None),
            route=state.route if state else None,
            told=state.told if state else (),
        )

    async def _carry_out(self, command: PipelineCommand) -> PipelineEvent:
        self._calls += 1
        key = str(self._calls)
        match command:
            case RunSession(request=session, seed=seed):
                return SessionEnded(result=await self._run_session(session, seed))
            case RunSessions():
                return await self._run_sessions(command)
            case AskAgain():
                return await self._ask_again(command, key)
            case LookAround(request=look):
                seen = await self._ask(
                    LOOK_AROUND, look, key=key, summary="base, branch and task as they are now"
                )
                return LookedAround(surroundings=seen)
            case Examine(request=examine):
                self._now("looking at what the change consists of")
                found_in = await self._ask(
                    EXAMINE,
                    examine,
                    key=key,
                    summary=f"what {examine.candidate.commit[:12]} consists of",
                )
                return Examined(examination=found_in)
            case EnterLane(lane=lane):
                return await self._enter(lane, key)
            case LeaveLane(lane=lane):
                await self._leave(lane)
                return LaneLeft()
            case Seal(proof=proof):
                self._now("comparing and signing the proof")
                sealed = await self._ask(
                    SEAL_PROOF,
                    SealRequest(proof=proof),
                    key=key,
                    summary=f"proof of {proof.merged.commit[:12]}, compared and signed",
                )
                return Sealed(sealed=sealed)
            case OpenRevert(request=revert):
                self._now(f"opening a revert on {revert.branch}")
                summary = f"revert {revert.merged.commit[:12]}"
                # A base that is red is not left so because somebody ends the pipeline meanwhile.
                opened, _ = await self._uninterrupted(
                    self._ask(OPEN_REVERT, revert, key=key, summary=summary)
                )
                return opened
            case Suspend(suspension=suspension):
                summary = f"no auto-merge in {', '.join(suspension.paths)}"
                await self._uninterrupted(self._ask(SUSPEND, suspension, key=key, summary=summary))
                return Suspended()
            case PostReview(request=review):
                return await self._ask(
                    POST_REVIEW, review, key=key, summary=f"review of {review.at.commit[:12]}"
                )
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
                self._now(CHECKING[verify.purpose])
                names = ", ".join(one.name for one in verify.commands) or "no checks"
                found = await self._ask(
                    VERIFY,
                    verify,
                    key=key,
                    summary=f"checks on {verify.candidate.commit[:12]}: {names}",
                )
                return Verified(verification=found)
            case OpenGate():
                return await self._decided(command, key)
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

    async def _run_session(self, session: SessionRequest, seed: Seed | None) -> SessionResult:
        self._session = session.session
        self._now(f"{session.phase}: {session.session}")
        handle = await self._begin(session, seed)
        try:
            result = await self._delivery(session, handle)
        finally:
            self._session = None
        return result

    async def _begin(
        self, session: SessionRequest, seed: Seed | None
    ) -> workflow.ChildWorkflowHandle[SessionWorkflow, SessionResult]:
        if self._paused_by is not None:
            with self._waiting("paused"):
                await workflow.wait_condition(lambda: self._paused_by is None)
        return await workflow.start_child_workflow(
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

    async def _delivery(
        self,
        session: SessionRequest,
        handle: workflow.ChildWorkflowHandle[SessionWorkflow, SessionResult],
    ) -> SessionResult:
        """What a session ends with; one that parks says so while it stays open."""
        if not session.parks:
            return await handle
        return await self._parks(session.session, handle)

    async def _parks(
        self,
        name: str,
        handle: workflow.ChildWorkflowHandle[SessionWorkflow, SessionResult],
    ) -> SessionResult:
        """What a session delivers before it is parked, or ends with."""
        try:
            await workflow.wait_condition(lambda: handle.done() or name in self._delivered)
        except asyncio.CancelledError:
            handle.cancel()
            result = await handle
            if result.ending is SessionEnding.KILLED:
                return result
            raise
        if handle.done():
            return await handle
        self._parked[name] = handle
        return self._delivered.pop(name)

    async def _run_sessions(self, command: RunSessions) -> SessionsEnded:
        self._now(", ".join(one.session.rpartition("/")[2] for one in command.requests))
        slots = asyncio.Semaphore(command.at_once)

        async def run(session: SessionRequest) -> SessionResult:
            async with slots:
                self._at_work.append(session.session)
                self._session = self._session or session.session
                self._show()
                try:
                    return await (await self._begin(session, None))
                finally:
                    self._at_work.remove(session.session)
                    self._session = self._at_work[0] if self._at_work else None

        results = await asyncio.gather(*(run(one) for one in command.requests))
        return SessionsEnded(results=tuple(results))

    async def _ask_again(self, command: AskAgain, key: str) -> SessionEnded:
        """Have a parked session look at another commit, with all that it knows already."""
        handle = self._parked.pop(command.session, None)
        if handle is None:
            why = f"{command.session} is not open any more"
            raise CallError(Failure(kind=FailureKind.NOT_FOUND, said=why))
        self._session = command.session
        self._now(f"asking {command.session} again, on {command.at.commit[:12]}")
        try:
            shown = await self._ask(
                SHOW_CHANGE,
                ShowChangeRequest(
                    repo=self._request.repo,
                    before=command.reviewed.commit,
                    after=command.at.commit,
                ),
                key=key,
                summary=f"what changed since {command.reviewed.commit[:12]}",
            )
            event = ContinueAsked(text=command.text, by="WorkTrain", attached=shown.digest)
            go_on = GoOn(at=command.at.commit, limits=command.limits, event=event)
            await handle.signal("go_on", go_on)
            return SessionEnded(result=await self._parks(command.session, handle))
        finally:
            self._session = None

    async def _let_go_but(self, kept: str | None) -> None:
        """Parked sessions that nobody will ask again end; each has stored what it delivered."""
        for name in [one for one in self._parked if one != kept]:
            handle = self._parked.pop(name)
            await handle.signal("let_go")
            await handle

    async def _enter(self, lane: str, key: str) -> LaneGranted:
        self._now(f"waiting for a turn to merge: {lane}")
        request = LaneRequest(lane=lane, pipeline=self._request.pipeline)
        self._wants_turn = True
        await self._ask(ENTER_LANE, request, key=key, summary="a turn to merge")
        with self._waiting("waiting"):
            await workflow.wait_condition(lambda: self._lane == lane)
        return LaneGranted()

    async def _leave(self, lane: str) -> None:
        self._lane, self._wants_turn = None, False
        handle = workflow.get_external_workflow_handle(lane)
        try:
            await handle.signal("leave", self._request.pipeline)
        except FailureError:
            # Nobody waits there any more: the lane has ended, and so has this turn.
            workflow.logger.info("lane was left already", extra={"lane": lane})

    async def _decided(self, command: OpenGate, key: str) -> Decided | Unanswered:
        self._gate = Gate(
            id=command.gate,
            text=command.text,
            deadline_s=command.deadline_s,
            reason_wanted=command.reason_wanted,
        )
        self._decision, self._about = None, command.about
        with self._waiting("waiting"):
            try:
                await workflow.wait_condition(
                    lambda: self._decision is not None, timeout=command.deadline_s
                )
            except TimeoutError:
                # Somebody may have answered in the very moment.
                workflow.logger.info("deadline passed", extra={"gate": command.gate})
        decision, self._decision, self._gate, self._about = self._decision, None, None, ()
        if decision is None:
            return Unanswered(gate=command.gate)
        if self._request.edition > 1:
            await self._ask(
                RECORD_DECISION,
                DecisionRecord(
                    pipeline=self._request.pipeline, key=f"decision/{key}", decision=decision
                ),
                key=key,
                summary=f"{decision.by} {decision.answer} {decision.gate}",
            )
        return Decided(decision=decision)

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
        if self._wants_turn:
            await self._leave(lane_of(state))
        await self._let_go_but(None)
        # A session by itself that committed nothing leaves no branch behind.
        by_itself = self._request.kind is PipelineKind.SPEC and state.candidate is None
        gone = end.ending is PipelineEnding.MERGED or state.merged is not None or by_itself
        if state.worktree is not None:
            why += await self._give_back(state.worktree, not gone, "last")
        for number, worktree in enumerate(_others(state)):
            # Their work is on the work branch as soon as all are joined.
            keep = not (gone or state.joined or state.worktree is not None)
            also = branch_of(state) if gone and state.joined and number == 0 else ""
            why += await self._give_back(worktree, keep, f"left-{number}", also)
        result = result_of(state, end.model_copy(update={"why": why}), self._proof)
        return await self._stored(result)

    async def _give_back(
        self, worktree: Worktree, keep_branch: bool, key: str, also: str = ""
    ) -> str:
        closed = await self._ask(
            CLOSE_WORKTREE,
            CloseWorktreeRequest(worktree=worktree, keep_branch=keep_branch, also=also),
            key=key,
            summary="remove the worktree",
            queue=worktree.queue,
        )
        return f"; what was not committed is kept as {closed.saved}" if closed.saved else ""

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


def _others(state: PipelineState) -> tuple[Worktree, ...]:
    """Worktrees of slices, and those that were left for others."""
    slices = (one.worktree for one in state.slices if one.worktree is not None)
    others = {one.root: one for one in (*slices, *state.left)}
    own = state.worktree.root if state.worktree else None
    return tuple(one for one in others.values() if one.root != own)
