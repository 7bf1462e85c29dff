"""Lanes on a real server: one at a time, in order, whoever dies, restarts, or comes too late."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client as Temporal
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from worktrain.activities.lanes import LaneActivities
from worktrain.client import connect
from worktrain.contracts.delivery import LaneRequest
from worktrain.embedded import Endpoints
from worktrain.wiring import runner
from worktrain.workflows.lane import EVENTS_MAX, LaneState, LaneWorkflow


@workflow.defn(sandboxed=False)
class Merger:
    """Stands for a pipeline: counts its turns, and ends when it is told to."""

    def __init__(self) -> None:
        self._turns: list[str] = []
        self._done = False

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self._done)

    @workflow.signal
    def lane_granted(self, lane: str) -> None:
        self._turns.append(lane)

    @workflow.signal
    async def give_back(self, lane: str) -> None:
        me = workflow.info().workflow_id
        await workflow.get_external_workflow_handle(lane).signal("leave", me)

    @workflow.signal
    def end(self) -> None:
        self._done = True

    @workflow.query
    def turns(self) -> list[str]:
        return self._turns


@dataclass
class Yard:
    """A worker with one lane, and the pipelines that want to use it."""

    temporal: Temporal
    queue: str
    lane: str

    @property
    def activities(self) -> LaneActivities:
        return LaneActivities(self.temporal, self.queue)

    @property
    def handle(self) -> WorkflowHandle[LaneWorkflow, None]:
        return self.temporal.get_workflow_handle_for(LaneWorkflow.run, self.lane)

    async def begin(self, state: LaneState) -> None:
        """Begin the lane other than by entering it."""
        await self.temporal.start_workflow(
            LaneWorkflow.run, state, id=self.lane, task_queue=self.queue
        )

    async def merger(self, name: str) -> WorkflowHandle[Merger, None]:
        return await self.temporal.start_workflow(
            Merger.run,
            id=f"{self.lane}/{name}",
            task_queue=self.queue,
            execution_timeout=timedelta(seconds=60),
        )

    async def enter(self, *mergers: WorkflowHandle[Merger, None]) -> None:
        for each in mergers:
            await ActivityEnvironment().run(
                self.activities.enter_lane, LaneRequest(lane=self.lane, pipeline=each.id)
            )

    async def turns(self, merger: WorkflowHandle[Merger, None], count: int) -> None:
        """Wait until it had so many turns, and see that each was told by this lane."""
        async with asyncio.timeout(15):
            while len(turns := await merger.query(Merger.turns)) < count:
                await asyncio.sleep(0.05)
        assert turns == [self.lane] * count

    async def looks(self) -> int:
        """How often it was looked at whether the holder has ended."""
        events = [event.event_type async for event in self.handle.fetch_history_events()]
        return events.count(EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED)

    async def stands(self, holder: str | None, *waiting: str) -> None:
        """Wait until the lane stands like this; names without the lane's."""
        wanted = tuple(f"{self.lane}/{name}" for name in (holder, *waiting) if name)
        async with asyncio.timeout(15):
            while True:
                now = await self.handle.query(LaneWorkflow.standing)
                if tuple(name for name in (now.holder, *now.waiting) if name) == wanted:
                    return
                await asyncio.sleep(0.05)


@asynccontextmanager
async def opened(server: Endpoints) -> AsyncIterator[Yard]:
    temporal = await connect({"target_host": server.address, "namespace": server.namespace})
    name = uuid4().hex[:8]
    yard = Yard(temporal, f"yard-{name}", f"lane/{name}/main")
    worker = Worker(
        temporal,
        task_queue=yard.queue,
        workflows=[LaneWorkflow, Merger],
        activities=[yard.activities.enter_lane, yard.activities.lane_holder_ended],
        workflow_runner=runner(),
    )
    async with worker:
        yield yard


@pytest.fixture
async def yard(server: Endpoints) -> AsyncIterator[Yard]:
    async with opened(server) as one:
        yield one


async def test_turns_are_given_one_at_a_time_in_the_order_of_asking(yard: Yard) -> None:
    one, two, three = [await yard.merger(name) for name in ("one", "two", "three")]
    await yard.enter(one, two, three, two)
    await yard.turns(one, 1)
    await yard.stands("one", "two", "three")
    assert await two.query(Merger.turns) == []
    await one.signal(Merger.give_back, yard.lane)
    await yard.turns(two, 1)
    await yard.stands("two", "three")
    await two.signal(Merger.give_back, yard.lane)
    await yard.turns(three, 1)
    assert [len(await each.query(Merger.turns)) for each in (one, two, three)] == [1, 1, 1]


async def test_whoever_has_the_turn_is_told_so_again_when_asking_again(yard: Yard) -> None:
    one, two = [await yard.merger(name) for name in ("one", "two")]
    await yard.enter(one, two)
    await yard.turns(one, 1)
    await yard.enter(one)
    await yard.turns(one, 2)
    await yard.stands("one", "two")


async def test_whoever_waits_no_longer_is_left_out(yard: Yard) -> None:
    one, two, three = [await yard.merger(name) for name in ("one", "two", "three")]
    await yard.enter(one, two, three)
    await two.signal(Merger.give_back, yard.lane)
    await yard.stands("one", "three")
    await one.signal(Merger.give_back, yard.lane)
    await yard.turns(three, 1)
    assert await two.query(Merger.turns) == []


async def test_whoever_has_ended_while_waiting_is_passed_over(yard: Yard) -> None:
    one, two, three = [await yard.merger(name) for name in ("one", "two", "three")]
    await yard.enter(one, two, three)
    await two.terminate()
    await one.signal(Merger.give_back, yard.lane)
    await yard.turns(three, 1)
    await yard.stands("three")


async def test_a_holder_that_ended_without_leaving_is_found_and_passed_over(yard: Yard) -> None:
    await yard.begin(LaneState(look_s=0.3))
    one, two = [await yard.merger(name) for name in ("one", "two")]
    await yard.enter(one, two)
    await yard.turns(one, 1)
    async with asyncio.timeout(15):
        while await yard.looks() < 2:
            await asyncio.sleep(0.05)
    await yard.stands("one", "two")
    await one.terminate()
    await yard.turns(two, 1)


async def test_an_empty_lane_ends_and_begins_anew(yard: Yard) -> None:
    await yard.begin(LaneState(linger_s=0.2))
    one = await yard.merger("one")
    await yard.enter(one)
    await yard.turns(one, 1)
    await one.signal(Merger.give_back, yard.lane)
    await asyncio.wait_for(yard.handle.result(), 10)
    first = (await yard.handle.describe()).run_id
    await yard.enter(one)
    await yard.turns(one, 2)
    assert (await yard.handle.describe()).run_id != first


async def test_nobody_who_asks_while_the_lane_ends_is_lost(yard: Yard) -> None:
    async def asked(number: int) -> bool:
        """Ask at about the time at which an empty lane ends; whether it had ended before."""
        lane = replace(yard, lane=f"{yard.lane}-{number}")
        one = await lane.merger("one")
        await lane.begin(LaneState(linger_s=0.05))
        first = (await lane.handle.describe()).run_id
        # The server fires timers up to a second late.
        await asyncio.sleep(0.9 + 0.04 * number if number else 0)
        await lane.enter(one)
        await lane.turns(one, 1)
        return (await lane.handle.describe()).run_id != first

    anew = await asyncio.gather(*(asked(number) for number in range(16)))
    assert not anew[0], "the first asks at once"


async def test_a_long_lane_goes_on_in_a_new_run_with_its_holder_and_queue(yard: Yard) -> None:
    one, two = [await yard.merger(name) for name in ("one", "two")]
    await yard.enter(one, two)
    await yard.turns(one, 1)
    first = (await yard.handle.describe()).run_id
    for _ in range(EVENTS_MAX // 100 + 1):
        signals = (yard.handle.signal(LaneWorkflow.leave, "nobody") for _ in range(100))
        await asyncio.gather(*signals)
    async with asyncio.timeout(15):
        while (await yard.handle.describe()).run_id == first:
            await asyncio.sleep(0.05)
    await yard.stands("one", "two")
    await one.signal(Merger.give_back, yard.lane)
    await yard.turns(two, 1)
    assert len(await one.query(Merger.turns)) == 1, "the new run does not grant it again"


async def test_a_workflow_has_ended_when_it_is_closed_or_unknown(yard: Yard) -> None:
    async def ended(name: str) -> bool:
        request = LaneRequest(lane=yard.lane, pipeline=name)
        reply = await ActivityEnvironment().run(yard.activities.lane_holder_ended, request)
        return reply.ended

    one = await yard.merger("one")
    assert not await ended(one.id)
    assert await ended(f"{one.id}-unknown")
    await one.signal(Merger.end)
    await one.result()
    assert await ended(one.id)
    assert (await one.describe()).status is WorkflowExecutionStatus.COMPLETED


async def test_a_server_that_refuses_is_told_in_a_sentence(yard: Yard) -> None:
    # An empty id is refused; it stands for whatever else the server may say.
    request = LaneRequest(lane="", pipeline="")
    for method in (yard.activities.enter_lane, yard.activities.lane_holder_ended):
        with pytest.raises(ApplicationError, match="Temporal says") as caught:
            await ActivityEnvironment().run(method, request)
        assert caught.value.type == "unreachable"
        assert isinstance(caught.value.__cause__.__cause__, RPCError)  # type: ignore[union-attr]
