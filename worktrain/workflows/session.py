"""One session: an agent led through a plan, turn by turn."""

import asyncio
from typing import assert_never

from temporalio import workflow

from worktrain.workflows import attributes
from worktrain.workflows.ask import CallError
from worktrain.workflows.operated import Operated

with workflow.unsafe.imports_passed_through():
    from worktrain.contracts.calls import (
        CLOSE_SESSION,
        CLOSE_WORKTREE,
        OPEN_SESSION,
        OPEN_WORKTREE,
        RUN_TOOL,
        TAKE_TURN,
    )
    from worktrain.contracts.delivery import CloseWorktreeRequest
    from worktrain.contracts.proof import PhaseRecord
    from worktrain.contracts.session import (
        Answered,
        AskModel,
        AskOperator,
        CallFailed,
        Event,
        Finish,
        Happened,
        Killed,
        Question,
        RunTools,
        SessionClosed,
        SessionEnding,
        SessionResult,
        SessionStart,
        SessionState,
        SessionView,
        Started,
        ToolsRan,
        TurnTaken,
    )
    from worktrain.contracts.steering import Answer
    from worktrain.contracts.turn import Steer, ToolCall, ToolReply, ToolRequest, TurnRequest
    from worktrain.contracts.workspace import Worktree, WorktreeRequest
    from worktrain.engine.machine import advance, current

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
        self._doing = "opening"

    @workflow.run
    async def run(self, start: SessionStart) -> SessionResult:
        command = start.command
        try:
            if self._state is None:
                self._state = await self._open()
                self._state, command = advance(self._state, self._happened(Started()))
        except CallError as error:
            return await self._close(Finish(ending=SessionEnding.FAILED, why=error.failure.said))
        except asyncio.CancelledError:
            return await self._close(Finish(ending=SessionEnding.KILLED, why="killed on request"))
        while True:
            assert command is not None
            if isinstance(command, Finish):
                return await self._close(command)
            if self._long():
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(
                    SessionStart(
                        request=self._request,
                        state=self._state,
                        worktree=self._worktree,
                        command=command,
                        steers=tuple(self._steers),
                        worked_s=self._worked_s(),
                    )
                )
            event: Event
            try:
                match command:
                    case AskModel(request=turn):
                        event = await self._take_turn(turn)
                    case RunTools(groups=groups):
                        event = await self._run_tools(groups)
                    case AskOperator(question=question):
                        event = await self._answered(question)
                    case _:
                        assert_never(command)
            except CallError as error:
                event = CallFailed(failure=error.failure)
            except asyncio.CancelledError:
                event = Killed(why="killed on request")
            self._state, command = advance(self._state, self._happened(event))

    @workflow.update(description="Say something to the agent before its next turn.")
    def steer(self, steer: Steer) -> str:
        self._steers.append(steer)
        return "it will be read at the next turn"

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
        if not answer.text.strip():
            raise ValueError("an empty text is no answer")

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
            usage=state.usage if state else SessionView.model_fields["usage"].default,
            cost_microdollars=state.cost_microdollars if state else 0,
            question=self._question,
            held=self._held,
            paused=self._paused_by is not None,
        )

    async def _open(self) -> SessionState:
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
            key=request.phase,
            summary=f"worktree at {request.at[:12]}",
        )
        opened = await self._ask(
            OPEN_SESSION, request, key=request.phase, summary=f"spec {request.spec}"
        )
        return SessionState(request=request, opened=opened)

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

    async def _answered(self, question: Question) -> Answered:
        self._question = question
        with self._waiting("waiting"):
            await workflow.wait_condition(lambda: self._answer is not None)
        answer, self._answer, self._question = self._answer, None, None
        assert answer is not None
        return Answered(question=question.id, text=answer.text, by=answer.by)

    async def _close(self, finish: Finish) -> SessionResult:
        """Store the ending, and give back a checkout that nobody else needs."""
        self._now(f"ended {finish.ending}")
        state, worktree, request = self._state, self._worktree, self._request
        record = PhaseRecord(
            phase=request.phase,
            session=request.session,
            spec=request.spec,
            script=state.opened.script if state else "",
            ending=finish.ending,
            turns=state.turn if state else 0,
            usage=state.usage if state else SessionView.model_fields["usage"].default,
            cost_microdollars=state.cost_microdollars if state else 0,
            model=state.model if state else "",
        )
        artifacts = state.artifacts if state else ()
        if worktree is not None and request.branch is None:
            await self._ask(
                CLOSE_WORKTREE,
                CloseWorktreeRequest(worktree=worktree, keep_branch=False),
                key=request.phase,
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
            ),
            key=request.phase,
            summary=f"ended {finish.ending}",
        )
        workflow.upsert_search_attributes(
            [
                attributes.STATUS.value_set("ended"),
                attributes.ENDING.value_set(finish.ending),
                attributes.COST_USD.value_set(record.cost_microdollars / 1e6),
            ]
        )
        return SessionResult(
            record=record,
            ending=finish.ending,
            why=finish.why,
            artifacts=artifacts,
            worktree=worktree,
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
        if state is not None:
            lines.append(
                f"step {state.step + 1} of {len(state.opened.plan.steps)}: "
                f"{current(state).title}; {state.usage.sent:,}→{state.usage.output:,} tok, "
                f"USD {state.cost_microdollars / 1e6:.2f}"
            )
        return lines
