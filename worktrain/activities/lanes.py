"""Turns at merging into a base branch: asking for one, and seeing who will not give theirs back."""

from datetime import timedelta

from temporalio.client import Client as Temporal
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from worktrain.activities.door import implements
from worktrain.contracts.calls import ENTER_LANE, LANE_HOLDER_ENDED, HolderEnded, Nothing
from worktrain.contracts.delivery import LaneRequest
from worktrain.contracts.failure import AdapterError, FailureKind


class LaneActivities:
    """`queue` is where the workflows of lanes run."""

    def __init__(self, temporal: Temporal, queue: str) -> None:
        self._temporal = temporal
        self._queue = queue

    @implements(ENTER_LANE)
    async def enter_lane(self, request: LaneRequest) -> Nothing:
        """Ask for a turn; the lane begins with the first who asks. Asking twice is asking once."""
        try:
            await self._temporal.start_workflow(
                "LaneWorkflow",
                id=request.lane,
                task_queue=self._queue,
                start_signal="enter",
                start_signal_args=[request.pipeline],
                task_timeout=timedelta(seconds=10),
                static_summary=f"merges into {request.lane.partition('/')[2]}, one at a time"[:200],
            )
        except RPCError as error:
            doing = f"Asking {request.lane} for a turn for {request.pipeline}"
            raise _unreached(error, doing) from error
        return Nothing()

    @implements(LANE_HOLDER_ENDED)
    async def lane_holder_ended(self, request: LaneRequest) -> HolderEnded:
        handle = self._temporal.get_workflow_handle(request.pipeline)
        try:
            status = (await handle.describe()).status
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return HolderEnded(ended=True)
            raise _unreached(error, f"Looking whether {request.pipeline} has ended") from error
        return HolderEnded(ended=status is not WorkflowExecutionStatus.RUNNING)


def _unreached(error: RPCError, doing: str) -> AdapterError:
    return AdapterError(
        FailureKind.UNREACHABLE,
        f"{doing}: Temporal says: {error.message}; `worktrain doctor` looks at what may be wrong.",
    )
