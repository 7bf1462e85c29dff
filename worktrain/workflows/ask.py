"""The one way from a workflow to the outside, and the limits of every such call."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar, cast

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    TimeoutType,
    is_cancelled_exception,
)
from temporalio.exceptions import TimeoutError as ActivityTimeout

with workflow.unsafe.imports_passed_through():
    from worktrain.contracts import calls
    from worktrain.contracts.base import Value
    from worktrain.contracts.calls import Call
    from worktrain.contracts.failure import Failure, FailureKind

Request = TypeVar("Request", bound=Value)
Reply = TypeVar("Reply")

HEARTBEAT = timedelta(seconds=10)
"""Also how long work stands still after the process that did it was killed."""


@dataclass(frozen=True)
class Limits:
    """How long one attempt may take, whether it shows that it lives, how often it is tried."""

    attempt: timedelta
    attempts_max: int
    beats: bool = False


# Model: 20 tries from 1 s to 120 s apart outlast half an hour of rate limits; then it is held.
# Tools: a command has its own limit of at most 30 minutes; the rest is room for the sandbox.
LIMITS: Mapping[str, Limits] = {
    calls.OPEN_PIPELINE.name: Limits(timedelta(minutes=3), 5),
    calls.CLOSE_PIPELINE.name: Limits(timedelta(minutes=1), 20),
    calls.OPEN_WORKTREE.name: Limits(timedelta(minutes=10), 5, beats=True),
    calls.CLOSE_WORKTREE.name: Limits(timedelta(minutes=10), 5, beats=True),
    calls.OPEN_SESSION.name: Limits(timedelta(minutes=2), 5),
    calls.CLOSE_SESSION.name: Limits(timedelta(minutes=1), 20),
    calls.TAKE_TURN.name: Limits(timedelta(minutes=20), 20, beats=True),
    calls.RUN_TOOL.name: Limits(timedelta(minutes=32), 5, beats=True),
    calls.GATHER.name: Limits(timedelta(minutes=5), 5, beats=True),
    calls.SNAPSHOT.name: Limits(timedelta(minutes=5), 5, beats=True),
    calls.LOOK_AROUND.name: Limits(timedelta(minutes=3), 20),
    calls.EXAMINE.name: Limits(timedelta(minutes=10), 5, beats=True),
    calls.SHOW_CHANGE.name: Limits(timedelta(minutes=5), 5),
    calls.RECORD_DECISION.name: Limits(timedelta(minutes=1), 20),
    calls.ENTER_LANE.name: Limits(timedelta(minutes=1), 20),
    calls.LANE_HOLDER_ENDED.name: Limits(timedelta(minutes=1), 20),
    calls.SEAL_PROOF.name: Limits(timedelta(minutes=2), 20),
    calls.OPEN_REVERT.name: Limits(timedelta(minutes=10), 10, beats=True),
    calls.SUSPEND.name: Limits(timedelta(minutes=1), 20),
    calls.POST_REVIEW.name: Limits(timedelta(minutes=5), 10, beats=True),
    calls.COMMIT_WORK.name: Limits(timedelta(minutes=5), 5, beats=True),
    calls.VERIFY.name: Limits(timedelta(hours=8), 5, beats=True),
    calls.REBASE.name: Limits(timedelta(minutes=10), 5, beats=True),
    calls.MERGE.name: Limits(timedelta(minutes=10), 10, beats=True),
    calls.ATTACH_PROOF.name: Limits(timedelta(minutes=10), 10, beats=True),
}
if missing := {call.name for call in calls.ALL} ^ LIMITS.keys():
    raise ImportError(f"LIMITS and contracts.calls differ in {sorted(missing)}")


class CallError(Exception):
    """A call that has failed for good, as far as Temporal is concerned."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.said)
        self.failure = failure


async def ask(
    call: Call[Request, Reply],
    request: Request,
    *,
    key: str,
    summary: str,
    queue: str | None = None,
) -> Reply:
    """Have an activity do `call`, and wait for its answer.

    `key` says which one of its kind this is: with the call's name it is the activity's id, by
    which replay notices calls that changed places. Raises `CallError`, and CancelledError when
    the workflow is cancelled meanwhile.
    """
    limits = LIMITS[call.name]
    elsewhere = queue is not None and queue != workflow.info().task_queue
    try:
        reply = await workflow.execute_activity(
            call.name,
            request,
            result_type=cast("type[Reply]", call.reply),
            activity_id=f"{call.name}/{key}",
            task_queue=queue,
            start_to_close_timeout=limits.attempt,
            schedule_to_start_timeout=timedelta(minutes=10) if elsewhere else None,
            heartbeat_timeout=HEARTBEAT if limits.beats else None,
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=1),
                maximum_interval=timedelta(seconds=120),
                maximum_attempts=limits.attempts_max,
            ),
            summary=summary,
        )
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise asyncio.CancelledError from error
        raise CallError(_failure(call.name, error)) from error
    return cast("Reply", reply)


def _failure(name: str, error: ActivityError) -> Failure:
    match error.cause:
        case ApplicationError(type=kind, message=said) if kind in set(FailureKind):
            return Failure(kind=FailureKind(kind), said=said)
        case ActivityTimeout(type=TimeoutType.SCHEDULE_TO_START):
            said = f"no worker took up {name} for 10 minutes; is the host that has the worktree up?"
            return Failure(kind=FailureKind.UNREACHABLE, said=said)
        case ActivityTimeout(type=TimeoutType.HEARTBEAT):
            said = f"the worker that did {name} went silent several times; see its log"
            return Failure(kind=FailureKind.INTERRUPTED, said=said)
        case ActivityTimeout():
            return Failure(kind=FailureKind.STALLED, said=f"{name} did not end in time")
        case cause:
            return Failure(kind=FailureKind.INTERNAL, said=f"{name} failed: {cause}")
