"""Stories: each plays something through to its end and insists on it.

They are tests, and they are what the recorded histories are made of: one for every command kind
and every ending.
"""

import asyncio
from collections.abc import Awaitable, Callable

from temporalio.client import WorkflowExecutionStatus

from tests.workflows import (
    change_stories,
    delivery_stories,
    edition_1_stories,
    review_stories,
    spec_stories,
)
from tests.workflows.office import (
    DISCOVERY,
    Office,
    calls,
    deliver,
    notes,
    session,
)
from worktrain.contracts.session import SessionEnding
from worktrain.contracts.steering import Answer, Order
from worktrain.contracts.turn import Steer
from worktrain.contracts.workspace import Limits

Story = Callable[[Office], Awaitable[None]]

READ = calls(("Read", {"filePath": "README.md"}))


# --- sessions ----------------------------------------------------------------------------


async def session_completes(office: Office) -> None:
    reads = calls(
        ("Read", {"filePath": "README.md"}),
        ("Glob", {"pattern": "*"}),
        ("Bash", {"command": "make it so"}),
        ("Grep", {"pattern": "x"}),
    )
    office.plays(session("discovery", reads, notes(), deliver(DISCOVERY)))
    result = await (await office.run_session()).result()
    assert result.ending is SessionEnding.COMPLETED
    assert [artifact.kind for artifact in result.artifacts] == ["wr.discovery_handoff"]
    assert result.record.turns == 3


async def session_is_blocked_by_three_wrong_deliveries(office: Office) -> None:
    wrong = deliver({**DISCOVERY, "confidenceBand": "sky-high"})
    office.plays(session("discovery", notes(), wrong, wrong, wrong))
    result = await (await office.run_session()).result()
    assert result.ending is SessionEnding.BLOCKED
    assert "confidenceBand" in result.why


async def session_recovers_from_a_wrong_delivery(office: Office) -> None:
    office.plays(
        session("discovery", notes(), deliver({"kind": "wr.discovery"}), deliver(DISCOVERY))
    )
    result = await (await office.run_session()).result()
    assert result.ending is SessionEnding.COMPLETED


async def session_that_only_talks_has_failed(office: Office) -> None:
    office.plays(session("discovery", {"text": "All done!"}, {"text": "Yes, done."}))
    result = await (await office.run_session()).result()
    assert result.ending is SessionEnding.STOPPED_EARLY


async def session_cut_off_goes_on_in_smaller_pieces(office: Office) -> None:
    long = calls(("Write", {"filePath": "a", "content": "b"}), stop="max_tokens")
    office.plays(session("discovery", long, notes(), deliver(DISCOVERY)))
    result = await (await office.run_session()).result()
    assert result.ending is SessionEnding.COMPLETED


async def session_reaches_its_turn_limit(office: Office) -> None:
    office.plays(session("discovery", *[READ] * 9))
    handle = await office.run_session(limits=Limits(turns_max=3))
    assert (await handle.result()).ending is SessionEnding.TURN_LIMIT


async def session_reaches_its_token_limit(office: Office) -> None:
    office.plays(session("discovery", *[{**READ, "usage": {"input": 500}}] * 9))
    handle = await office.run_session(limits=Limits(tokens_max=1000))
    assert (await handle.result()).ending is SessionEnding.TOKEN_LIMIT


async def session_reaches_its_cost_limit(office: Office) -> None:
    office.plays(session("discovery", *[{**READ, "usage": {"output": 10_000}}] * 9))
    handle = await office.run_session(limits=Limits(cost_usd_max=0.15))
    assert (await handle.result()).ending is SessionEnding.COST_LIMIT


async def session_reaches_its_time_limit(office: Office) -> None:
    office.plays(session("discovery", *[{**READ, "delay_s": 0.2}] * 9))
    handle = await office.run_session(limits=Limits(minutes_max=0.005))
    assert (await handle.result()).ending is SessionEnding.TIME_LIMIT


async def session_refused_by_the_model(office: Office) -> None:
    office.plays(session("discovery", {"text": "I will not.", "stop": "refusal"}))
    assert (await (await office.run_session()).result()).ending is SessionEnding.REFUSED


async def session_whose_context_is_full(office: Office) -> None:
    error = {"status": 400, "type": "invalid_request_error", "message": "prompt is too long"}
    office.plays(session("discovery", {**READ, "errors": [{**error, "times": 99}]}))
    assert (await (await office.run_session()).result()).ending is SessionEnding.CONTEXT_FULL


async def session_with_an_invalid_request_fails(office: Office) -> None:
    office.plays(session("discovery", READ))
    result = await (await office.run_session()).result()
    assert result.ending is SessionEnding.FAILED


async def session_waits_out_an_overloaded_model(office: Office) -> None:
    error = {"status": 529, "type": "overloaded_error", "message": "busy", "times": 1}
    office.plays(session("discovery", {**notes(), "errors": [error]}, deliver(DISCOVERY)))
    assert (await (await office.run_session()).result()).ending is SessionEnding.COMPLETED


async def session_is_held_until_the_key_is_right(office: Office) -> None:
    error = {"status": 401, "type": "authentication_error", "message": "no", "times": 1}
    office.plays(session("discovery", {**notes(), "errors": [error]}, deliver(DISCOVERY)))
    handle = await office.run_session()
    held = await office.session_until(handle.id, lambda view: view.held is not None)
    assert held.held is not None
    await handle.execute_update("resume", Order(by="tester"))
    assert (await handle.result()).ending is SessionEnding.COMPLETED


async def session_asks_and_gets_an_answer(office: Office) -> None:
    issue = {"kind": "needs_human", "severity": "warn", "summary": "Which one?"}
    noted = {"kind": "self_correction", "severity": "info", "summary": "I was wrong."}
    both = calls(("report_issue", noted), ("report_issue", issue), ("complete_step", {}))
    office.plays(session("discovery", both, notes(), deliver(DISCOVERY)))
    handle = await office.run_session()
    asked = await office.session_until(handle.id, lambda view: view.question is not None)
    assert asked.question is not None
    assert asked.question.text == "Which one?"
    answer = Answer(question=asked.question.id, text="The left one.", by="tester")
    await handle.execute_update("answer", answer)
    assert (await handle.result()).ending is SessionEnding.COMPLETED


async def session_is_paused_steered_and_resumed(office: Office) -> None:
    slow = {**READ, "delay_s": 0.3}
    office.plays(session("discovery", slow, notes(), deliver(DISCOVERY)))
    handle = await office.run_session()
    await office.session_until(handle.id, lambda view: view.turn == 1)
    await handle.execute_update("pause", Order(by="tester"))
    await handle.execute_update("steer", Steer(text="Mind the gap.", by="tester"))
    await handle.execute_update("resume", Order(by="tester"))
    assert (await handle.result()).ending is SessionEnding.COMPLETED
    _, log = await office.store.log(handle.id)
    assert any("Mind the gap." in line.text for line in log)


async def session_is_killed(office: Office) -> None:
    office.plays(session("discovery", {**READ, "delay_s": 30}))
    handle = await office.run_session()
    await office.session_until(handle.id, lambda view: view.turn == 1)
    await handle.cancel()
    assert (await handle.result()).ending is SessionEnding.KILLED


async def session_goes_on_in_a_new_run(office: Office) -> None:
    """More turns than one history may hold: the state travels, the talk stays in the store."""
    many = calls(*[("Read", {"filePath": f"f{number}"}) for number in range(90)])
    office.plays(session("discovery", *[many] * 8, notes(), deliver(DISCOVERY)))
    handle = await office.run_session()
    assert (await handle.result()).ending is SessionEnding.COMPLETED
    first = office.temporal.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
    assert (await first.describe()).status is WorkflowExecutionStatus.CONTINUED_AS_NEW


PARTS = (edition_1_stories, delivery_stories, review_stories, change_stories, spec_stories)
STORIES: tuple[Story, ...] = tuple(
    story
    for module in (globals(), *map(vars, PARTS))
    for name, story in module.items()
    if name.startswith(("session_", "pipeline_", "delivery_"))
    and asyncio.iscoroutinefunction(story)
)
