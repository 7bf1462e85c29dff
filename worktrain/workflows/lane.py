"""A lane: pipelines that merge into one base branch take turns, in the order in which they ask."""

from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError

from worktrain.workflows.ask import CallError, ask

with workflow.unsafe.imports_passed_through():
    from worktrain.contracts.base import Value
    from worktrain.contracts.calls import LANE_HOLDER_ENDED
    from worktrain.contracts.delivery import LaneRequest

EVENTS_MAX = 500
"""History events after which a lane goes on in a new run: what it carries is small."""


class LaneState(Value):
    """Whose turn it is, and who comes next. A run takes it over from the one before."""

    holder: str | None = None
    waiting: tuple[str, ...] = ()
    look_s: float = 300
    """How long somebody may hold the lane before it is looked at whether they have ended."""
    linger_s: float = 10
    """How long an empty lane waits for the next."""


@workflow.defn
class LaneWorkflow:
    """Signals `lane_granted` with its own id to the pipeline whose turn it is, until that pipeline
    signals `leave` or has ended. Ends when nobody is left; whoever asks then begins it anew."""

    @workflow.init
    def __init__(self, state: LaneState | None = None) -> None:
        state = state or LaneState()
        self._holder = state.holder
        self._waiting = list(state.waiting)
        self._look_s, self._linger_s = state.look_s, state.linger_s
        self._to_grant = False
        self._looks = 0

    @workflow.run
    async def run(self, state: LaneState | None = None) -> None:
        while True:
            if self._holder is None and self._waiting:
                self._holder, self._to_grant = self._waiting.pop(0), True
            self._show()
            if self._holder is None:
                # Signals that came with the end of the wait are in the queue by now; the server
                # refuses an end that has not seen all of them.
                if not await _within(self._linger_s, lambda: bool(self._waiting)):
                    return
            elif self._to_grant:
                await self._grant(self._holder)
            elif _long():
                workflow.continue_as_new(self.standing())
            elif not await _within(self._look_s, self._called):
                await self._look(self._holder)

    @workflow.signal(description="Ask for a turn; who has it is told so again.")
    def enter(self, pipeline: str) -> None:
        if pipeline == self._holder:
            self._to_grant = True
        elif pipeline not in self._waiting:
            self._waiting.append(pipeline)

    @workflow.signal(description="Give a turn back, or wait for one no longer.")
    def leave(self, pipeline: str) -> None:
        if pipeline == self._holder:
            self._holder, self._to_grant = None, False
        elif pipeline in self._waiting:
            self._waiting.remove(pipeline)

    @workflow.query
    def standing(self) -> LaneState:
        return LaneState(
            holder=self._holder,
            waiting=tuple(self._waiting),
            look_s=self._look_s,
            linger_s=self._linger_s,
        )

    def _called(self) -> bool:
        return self._holder is None or self._to_grant or _long()

    async def _grant(self, pipeline: str) -> None:
        self._to_grant = False
        try:
            await workflow.get_external_workflow_handle(pipeline).signal(
                "lane_granted", workflow.info().workflow_id
            )
        except FailureError:
            # It has ended, or never was: the next one's turn.
            self.leave(pipeline)

    async def _look(self, pipeline: str) -> None:
        """Pass on a turn whose holder has ended without giving it back."""
        self._looks += 1
        try:
            reply = await ask(
                LANE_HOLDER_ENDED,
                LaneRequest(lane=workflow.info().workflow_id, pipeline=pipeline),
                key=str(self._looks),
                summary=f"has {pipeline} ended?",
            )
        except CallError:
            # Not knowing is no reason to let two merge at once; it is asked again later.
            return
        if reply.ended:
            self.leave(pipeline)

    def _show(self) -> None:
        lines = [f"{self._holder} merges" if self._holder else "nobody merges"]
        lines += [f"- {pipeline} waits" for pipeline in self._waiting]
        workflow.set_current_details("\n".join(lines).replace("$", "USD "))


async def _within(seconds: float, true: Callable[[], bool]) -> bool:
    """Wait until it is true; False when it was not within so long."""
    try:
        await workflow.wait_condition(true, timeout=timedelta(seconds=seconds))
    except TimeoutError:
        return true()
    return True


def _long() -> bool:
    info = workflow.info()
    return info.is_continue_as_new_suggested() or info.get_current_history_length() > EVENTS_MAX
