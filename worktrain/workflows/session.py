"""One session: an agent led through a plan, turn by turn, and parked if more may be asked."""

import asyncio
from datetime import timedelta
from typing import assert_never

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ChildWorkflowError, FailureError

from worktrain.workflows import attributes
from worktrain.workflows.ask import CallError
from worktrain.workflows.operated import Operated

with workflow.unsafe.imports_passed_through():
    from worktrain.contracts.calls import (
        CLOSE_SESSION,
        CLOSE_WORKTREE,
        GATHER,
        OPEN_SESSION,
        OPEN_WORKTREE,
        RUN_TOOL,
        SNAPSHOT,
        TAKE_TURN,
    )
    from worktrain.contracts.delivery import CloseWorktreeRequest, SnapshotRequest
    from worktrain.contracts.proof import PhaseRecord
    from worktrain.contracts.session import (
        Answered,
        AskModel,
        AskOperator,
        CallFailed,
        Child,
        ChildEnded,
        ChildrenEnded,
        Confirm,
        Confirmed,
        Event,
        Finish,
        Gather,
        Gathered,
        GatherRequest,
        GoOn,
        Happened,
        Killed,
        Question,
        RewindAsked,
        RunChildren,
        RunTools,
        SessionClosed,
        SessionEnding,
        SessionRequest,
        SessionResult,
        SessionStart,
        SessionState,
        SessionView,
        Started,
        ToolsRan,
        TurnTaken,
    )
    from worktrain.contracts.steering import Answer, Gate, GateAnswer, Rewind
    from worktrain.contracts.turn import Steer, ToolCall, ToolReply, ToolRequest, TurnRequest, Usage
    from worktrain.contracts.workspace import Worktree, WorktreeRequest
    from worktrain.engine.machine import advance, current
    from worktrain.engine.machine.checkpoint import found, resumed, seeded
    from worktrain.engine.machine.questions import value_of

EVENTS_MAX = 2000
"""History events after which a session goes on in a new run: replay stays under a second."""


@workflow.defn
class SessionWorkflow(Operated):
    """Ends with a named ending whatever happens; one that did not finish has not succeeded."""

    @workflow.init
    def __init__(self, start: SessionStart) -> None:
        super().__init__()
        self._request = start.request
        self._state: SessionState | None = start.state
        self._worktree: Worktree | None = start.worktree
        self._steers: list[Steer] = list(start.steers)
        self._worked_before_s = start.worked_s
        self._question: Question | None = None
        self._answer: Answer | None = None
        self._gate: Gate | None = None
        self._decision: GateAnswer | None = None
        self._rewind: Rewind | None = None
        self._children: list[str] = []
        self._rounds = start.rounds
        self._parked = False
        self._order: GoOn | None = None
        self._let_go = False
        self._doing = "opening"

    @workflow.run
    async def run(self, start: SessionStart) -> SessionResult:
        command = start.command
        try:
            if self._state is None:
                state, opening = await self._open(start)
                self._state, command = advance(state, self._happened(opening))
        except CallError as error:
            return await self._close(Finish(ending=SessionEnding.FAILED, why=error.failure.said))
        except asyncio.CancelledError:
            return await self._close(Finish(ending=SessionEnding.KILLED, why="killed on request"))
        while True:
            assert command is not None
            if isinstance(command, Finish):
                if command.ending is not SessionEnding.COMPLETED or not self._parks():
                    return await self._close(command)
                delivered = await self._park(command)
                if self._order is None:
                    return delivered
                asked = await self._reopened(self._order)
                self._state, command = advance(self._state, self._happened(asked))
                continue
            if self._long():
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(
                    SessionStart(
                        request=self._request.model_copy(update={"parks": self._parks()}),
                        state=self._state,
                        worktree=self._worktree,
                        command=command,
                        steers=tuple(self._steers),
                        worked_s=self._worked_s(),
                        rounds=self._rounds,
                    )
                )
            event: Event | None
            try:
                match command:
                    case AskModel(request=turn):
                        event = await self._take_turn(turn)
                    case RunTools(groups=groups):
                        event = await self._run_tools(groups)
                    case AskOperator(question=question):
                        event = await self._answered(question)
                    case Confirm(gate=gate):
                        event = await self._confirmed(gate)
                    case Gather(request=wanted):
                        event = await self._gathered(wanted)
                    case RunChildren():
                        event = await self._run_children(command)
                    case _:
                        assert_never(command)
            except CallError as error:
                event = CallFailed(failure=error.failure)
            except asyncio.CancelledError:
                event = Killed(why="killed on request")
            if event is not None:
                self._state, command = advance(self._state, self._happened(event))
            if self._rewind is not None:
                back, self._rewind = self._rewind, None
                event = RewindAsked(checkpoint=back.to, reason=back.reason, by=back.by)
                self._state, command = advance(self._state, self._happened(event))

    @workflow.update(description="Say something to the agent before its next turn.")
    def steer(self, steer: Steer) -> str:
        self._steers.append(steer)
        when = "when it is asked for more" if self._parked else "at the next turn"
        return f"it will be read {when}"

    @steer.validator
    def _check_steer(self, steer: Steer) -> None:
        if not steer.text.strip():
            raise ValueError("there is nothing to say in an empty text")

    @workflow.update(description="Answer the question that the agent waits for.")
    def answer(self, answer: Answer) -> str:
        self._answer = answer
        return "answered"

    @answer.validator
    def _check_answer(self, answer: Answer) -> None:
        if self._question is None:
            raise ValueError("no question is open")
        if answer.question != self._question.id:
            raise ValueError(f"the open question is {self._question.id!r}")
        value_of(self._question, answer.text)

    @workflow.update(description="Approve or reject the step that waits at its gate.")
    def decide(self, answer: GateAnswer) -> str:
        assert self._gate is not None
        self._decision = answer
        return f"{answer.answer} {self._gate.id}"

    @decide.validator
    def _check_decide(self, answer: GateAnswer) -> None:
        if self._gate is None or self._decision is not None:
            raise ValueError("no gate is open")
        if answer.gate is not None and answer.gate != self._gate.id:
            raise ValueError(f"the open gate is {self._gate.id!r}")

    @workflow.update(description="Put the session back to the beginning of an earlier step.")
    def rewind(self, rewind: Rewind) -> str:
        self._rewind = rewind
        return "it goes back as soon as what is running now has ended"

    @rewind.validator
    def _check_rewind(self, rewind: Rewind) -> None:
        if not rewind.reason.strip():
            raise ValueError("a reason is needed: the agent is told why")
        if self._parked:
            raise ValueError(
                "it is parked: what it delivered is in use; `worktrain fork` goes on from a "
                "checkpoint of it beside this"
            )
        points = self._state.checkpoints if self._state else ()
        if self._state is None or found(self._state, rewind.to) is None:
            known = ", ".join(f"{one.id} ({one.step})" for one in points)
            raise ValueError(f"there is no checkpoint {rewind.to!r}; there are {known or 'none'}")

    @workflow.signal(description="Have a parked session look at another commit and deliver again.")
    def go_on(self, order: GoOn) -> None:
        self._order = order

    @workflow.signal(description="End a session with what it has delivered instead of parking it.")
    def let_go(self) -> None:
        self._let_go = True

    @workflow.query
    def state(self) -> SessionState | None:
        """All that the machine knows: what another session can go on from."""
        return self._state

    @workflow.query
    def view(self) -> SessionView:
        state = self._state
        return SessionView(
            session=self._request.session,
            phase=self._request.phase,
            step=current(state).title if state else "",
            step_number=state.step + 1 if state else 0,
            steps=len(state.opened.plan.steps) if state else 0,
            turn=state.turn if state else 0,
            doing=self._doing,
            usage=state.usage if state else Usage(),
            cost_microdollars=state.cost_microdollars if state else 0,
            question=self._question,
            held=self._held,
            paused=self._paused_by is not None,
            gate=self._gate,
            trace=state.trace if state else (),
            checkpoints=tuple(f"{one.id} {one.title}" for one in state.checkpoints)
            if state
            else (),
            children=tuple(self._children),
            parked=self._parked,
        )

    async def _open(self, start: SessionStart) -> tuple[SessionState, Event]:
        """Open what the session works with; its state and the event that it begins with."""
        request = self._request
        await self._open_worktree(request.phase)
        opened = await self._ask(
            OPEN_SESSION, request, key=request.phase, summary=f"spec {request.spec}"
        )
        if start.seed is None:
            return SessionState(request=request, opened=opened), Started()
        return seeded(start.seed.state, request, opened), start.seed.event

    async def _open_worktree(self, key: str) -> None:
        request = self._request
        self._worktree = await self._ask(
            OPEN_WORKTREE,
            WorktreeRequest(
                session=request.session,
                repo=request.repo,
                at=request.at,
                branch=request.branch,
                sandbox=request.sandbox,
            ),
            key=key,
            summary=f"worktree at {request.at[:12]}",
        )

    async def _take_turn(self, turn: TurnRequest) -> TurnTaken:
        state = self._state
        assert state is not None
        doing = f"turn {turn.turn}: model {turn.model}"
        self._now(doing)
        # A summary is fixed before the call: what this one costs is in its result.
        spent = f"{state.talk / 1000:.0f}k tok, USD {state.cost_microdollars / 1e6:.2f} so far"
        reply = await self._ask(TAKE_TURN, turn, key=str(turn.turn), summary=f"{doing}, {spent}")
        return TurnTaken(reply=reply)

    async def _run_tools(self, groups: tuple[tuple[ToolCall, ...], ...]) -> ToolsRan:
        replies: list[ToolReply] = []
        for group in groups:
            self._now("; ".join(call.preview for call in group))
            # A group of one goes without gather: most groups are.
            if len(group) == 1:
                replies.append(await self._run_tool(group[0]))
            else:
                replies += await asyncio.gather(*(self._run_tool(call) for call in group))
        return ToolsRan(replies=tuple(replies))

    async def _run_tool(self, call: ToolCall) -> ToolReply:
        state, worktree = self._state, self._worktree
        assert state is not None
        assert worktree is not None
        assert state.head is not None
        return await self._ask(
            RUN_TOOL,
            ToolRequest(
                session=self._request.session,
                head=state.head,
                call=call.id,
                name=call.name,
                root=worktree.root,
                sandbox=self._request.sandbox,
            ),
            key=f"{state.turn}/{call.id}",
            summary=f"turn {state.turn}: {call.preview}",
            queue=worktree.queue,
        )

    async def _answered(self, question: Question) -> Answered | None:
        """None when the session is put back meanwhile: then nobody waits for the answer."""
        self._question = question
        deadline_s = question.deadline_s if question.default else None
        try:
            with self._waiting("waiting"):
                await workflow.wait_condition(
                    lambda: self._answer is not None or self._rewind is not None,
                    timeout=deadline_s,
                )
        except TimeoutError:
            self._answer = Answer(question=question.id, text=question.default, by="the deadline")
        answer, self._answer, self._question = self._answer, None, None
        if answer is None:
            return None
        return Answered(question=question.id, text=answer.text, by=answer.by)

    async def _confirmed(self, gate: Gate) -> Confirmed | None:
        self._gate, self._decision = gate, None
        with self._waiting("waiting"):
            await workflow.wait_condition(
                lambda: self._decision is not None or self._rewind is not None
            )
        decision, self._decision, self._gate = self._decision, None, None
        if decision is None:
            return None
        return Confirmed(answer=decision.answer, by=decision.by, reason=decision.reason)

    async def _gathered(self, wanted: GatherRequest) -> Gathered:
        names = ", ".join(source.variable for source in wanted.sources)
        self._now(f"looking for {names}")
        assert self._state is not None
        key = f"{self._state.turn}/{current(self._state).id}/{self._state.traced}"
        return await self._ask(GATHER, wanted, key=key, summary=f"look for {names}")

    async def _run_children(self, command: RunChildren) -> ChildrenEnded:
        """Run sessions for this one, so many at a time; the first failure may end the others."""
        assert self._state is not None
        self._now(f"running {', '.join(child.name for child in command.children)}")
        at = await self._snapshot(f"{self._state.turn}/{self._state.spawned}")
        slots = asyncio.Semaphore(command.concurrency_max)
        at_work: list[workflow.ChildWorkflowHandle[SessionWorkflow, SessionResult]] = []
        given_up = False

        async def run(child: Child) -> ChildEnded:
            nonlocal given_up
            async with slots:
                request = child.request.model_copy(update={"at": at})
                if given_up:
                    why = "it was not begun: another session of the step had failed"
                    return ChildEnded(name=child.name, result=_unrun(request, why))
                self._children.append(request.session)
                self._show()
                try:
                    handle = await workflow.start_child_workflow(
                        SessionWorkflow.run,
                        SessionStart(request=request),
                        id=request.session,
                        parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
                        static_summary=f"{child.name}: {request.task.title}"[:200],
                        search_attributes=TypedSearchAttributes(
                            [
                                SearchAttributePair(attributes.PHASE, request.phase),
                                SearchAttributePair(attributes.SPEC, request.spec),
                                SearchAttributePair(attributes.STATUS, "running"),
                                SearchAttributePair(attributes.PARENT, self._request.session),
                            ]
                        ),
                        task_timeout=timedelta(seconds=10),
                    )
                    at_work.append(handle)
                    result = await handle
                except ChildWorkflowError as error:
                    result = _unrun(request, f"its workflow failed: {error.cause or error}")
                self._children.remove(request.session)
                failed = result.ending is not SessionEnding.COMPLETED
                if failed and command.on_failure == "abort" and not given_up:
                    given_up = True
                    for other in at_work:
                        if not other.done():
                            other.cancel()
                return ChildEnded(name=child.name, result=result)

        ended = await asyncio.gather(*(run(child) for child in command.children))
        return ChildrenEnded(children=tuple(ended))

    async def _snapshot(self, key: str) -> str:
        """The commit that children start from: on a branch, with the files as they are now."""
        worktree = self._worktree
        if worktree is None or worktree.branch is None:
            return self._request.at
        at = await self._ask(
            SNAPSHOT,
            SnapshotRequest(worktree=worktree, key=key),
            key=key,
            summary="snapshot of the worktree for child sessions",
            queue=worktree.queue,
        )
        return at.commit

    def _parks(self) -> bool:
        return self._request.parks and not self._let_go

    async def _park(self, finish: Finish) -> SessionResult:
        """Deliver a round and wait, at no cost, for an order; without one it has ended."""
        self._parked, self._order = True, None
        self._rounds += 1
        result: SessionResult | None = None
        try:
            result = await self._stored(finish, f"{self._request.phase}/round-{self._rounds}")
            if self._request.branch is None:
                self._worktree = None
            times = "once" if self._rounds == 1 else f"{self._rounds} times"
            self._now(f"parked, has delivered {times}; waits to be asked for more")
            whose = workflow.get_external_workflow_handle(self._request.pipeline)
            await whose.signal("delivered", result)
            with self._waiting("parked"):
                await workflow.wait_condition(lambda: self._order is not None or self._let_go)
        except asyncio.CancelledError:
            # Killed before all of it was stored: then what is stored twice is the same.
            self._order = None
            result = result or await self._stored(finish, self._request.phase)
        except FailureError:
            # Whoever would ask for more is there no longer.
            self._order = None
        assert result is not None
        self._parked = False
        if self._order is None:
            self._end(result)
        return result

    async def _reopened(self, order: GoOn) -> Event:
        """A checkout at the commit that the order names, under its limits; what is to be done."""
        assert self._state is not None
        self._state = resumed(self._state, order)
        self._request = self._state.request
        try:
            await self._open_worktree(f"{self._request.phase}/round-{self._rounds + 1}")
        except CallError as error:
            return CallFailed(failure=error.failure)
        except asyncio.CancelledError:
            return Killed(why="killed on request")
        return order.event

    async def _close(self, finish: Finish) -> SessionResult:
        """Store the ending for good."""
        result = await self._stored(finish, self._request.phase)
        self._end(result)
        return result

    def _end(self, result: SessionResult) -> None:
        self._now(f"ended {result.ending}")
        workflow.upsert_search_attributes(
            [
                attributes.STATUS.value_set("ended"),
                attributes.ENDING.value_set(result.ending),
                attributes.COST_USD.value_set(result.record.cost_microdollars / 1e6),
            ]
        )

    async def _stored(self, finish: Finish, key: str) -> SessionResult:
        """Store what it came to, and give back a checkout that nobody else needs."""
        self._now(f"ended {finish.ending}")
        state, worktree, request = self._state, self._worktree, self._request
        record = PhaseRecord(
            phase=request.phase,
            session=request.session,
            spec=request.spec,
            script=state.opened.script if state else "",
            ending=finish.ending,
            turns=state.turn if state else 0,
            usage=state.usage if state else Usage(),
            cost_microdollars=state.cost_microdollars if state else 0,
            model=state.model if state else "",
            looks=state.looks if state else 0,
            worked_s=round(self._worked_s(), 1),
        )
        artifacts = state.artifacts if state else ()
        wanted = state.opened.plan.gives if state else {}
        given = {name: state.context[name] for name in wanted if state and name in state.context}
        if worktree is not None and request.branch is None:
            await self._ask(
                CLOSE_WORKTREE,
                CloseWorktreeRequest(worktree=worktree, keep_branch=False),
                key=key,
                summary="remove the worktree",
                queue=worktree.queue,
            )
        await self._ask(
            CLOSE_SESSION,
            SessionClosed(
                session=request.session,
                pipeline=request.pipeline,
                record=record,
                artifacts=artifacts,
                notes=state.notes if state else (),
                why=finish.why,
                trace=state.trace if state else (),
                given=given,
            ),
            key=key,
            summary=f"ended {finish.ending}",
        )
        return SessionResult(
            record=record,
            ending=finish.ending,
            why=finish.why,
            artifacts=artifacts,
            worktree=worktree,
            given=given,
        )

    def _happened(self, event: Event) -> Happened:
        steers, self._steers = tuple(self._steers), []
        return Happened(event=event, worked_s=self._worked_s(), steers=steers)

    def _worked_s(self) -> float:
        began_s = workflow.info().start_time.timestamp()
        return self._worked_before_s + workflow.time() - began_s - self._waited_s

    def _long(self) -> bool:
        info = workflow.info()
        return info.is_continue_as_new_suggested() or info.get_current_history_length() > EVENTS_MAX

    def _now(self, doing: str) -> None:
        self._doing = doing
        self._show()

    def _details(self) -> list[str]:
        state = self._state
        lines = [self._doing]
        if self._question is not None:
            lines.append(
                f"Waits for an answer to `{self._question.id}`: {self._question.text}\n\n"
                f"`worktrain answer {self._request.session} {self._question.id} TEXT`"
            )
        if self._gate is not None:
            lines.append(
                f"Waits at gate `{self._gate.id}`: {self._gate.text}\n\n"
                f"`worktrain approve {self._request.session} {self._gate.id}`, or `reject`"
            )
        if state is not None:
            lines.append(
                f"step {state.step + 1} of {len(state.opened.plan.steps)}: "
                f"{current(state).title}; {state.usage.sent:,}→{state.usage.output:,} tok, "
                f"USD {state.cost_microdollars / 1e6:.2f}"
            )
        return lines


def _unrun(request: SessionRequest, why: str) -> SessionResult:
    """The result of a session that has none of its own."""
    record = PhaseRecord(
        phase=request.phase,
        session=request.session,
        spec=request.spec,
        script="",
        ending=SessionEnding.FAILED,
        turns=0,
        usage=Usage(),
        cost_microdollars=0,
        model="",
    )
    return SessionResult(record=record, ending=SessionEnding.FAILED, why=why)
