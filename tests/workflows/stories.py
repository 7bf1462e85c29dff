"""Stories: each plays something through to its end and insists on it.

They are tests, and they are what the recorded histories are made of: one for every command kind
and every ending.
"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from temporalio.client import WorkflowExecutionStatus

from tests.workflows import spec_stories
from tests.workflows.office import (
    CODING,
    DISCOVERY,
    MINOR,
    SHAPING,
    Office,
    calls,
    deliver,
    notes,
    quick,
    session,
    write,
)
from worktrain.client import Refused
from worktrain.contracts.pipeline import PipelineEnding, PipelineKind
from worktrain.contracts.session import SessionEnding
from worktrain.contracts.steering import Answer, Order
from worktrain.contracts.turn import Steer
from worktrain.contracts.workspace import Limits

Story = Callable[[Office], Awaitable[None]]

AUTO = "verify: [{name: tests, run: run the tests}]\nmerge: {policy: auto}\n"
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


# --- pipelines ---------------------------------------------------------------------------


async def pipeline_merges(office: Office) -> None:
    office.configure(AUTO)
    office.plays(
        session("discovery", notes(), deliver(DISCOVERY)),
        session("shaping", deliver(SHAPING)),
        *quick(),
    )
    result = await office.ended(await office.begin(PipelineKind.FEATURE))
    assert result.ending is PipelineEnding.MERGED
    assert office.repository.refs["main"] == result.merged_commit
    assert office.forge.merges == office.forge.notes_written == 1


async def pipeline_fixes_and_is_reviewed_again(office: Office) -> None:
    office.configure(AUTO)
    fixed = session("review", notes(), deliver({**MINOR, **_CLEAN}), match="fixed")
    office.plays(
        fixed,
        session("coding", write("work.txt", "nearly"), notes(), deliver(CODING)),
        session("review", notes(), deliver(MINOR)),
        session("fix", write("work.txt", "fixed"), notes(), deliver(CODING)),
    )
    result = await office.ended(await office.begin())
    assert result.ending is PipelineEnding.MERGED
    assert [p.phase for p in result.phases] == ["coding", "review", "fix", "review"]


async def pipeline_waits_for_an_approval(office: Office) -> None:
    office.plays(*quick())
    pipeline = await office.begin()
    view = await office.until(pipeline, lambda view: view.gate is not None)
    assert view.gate is not None
    assert view.gate.id == "merge"
    await office.client.decide(pipeline, "approved")
    assert (await office.ended(pipeline)).ending is PipelineEnding.MERGED


async def pipeline_is_rejected(office: Office) -> None:
    office.plays(*quick())
    pipeline = await office.begin()
    await office.until(pipeline, lambda view: view.gate is not None)
    with pytest.raises(Refused, match="'merge'"):
        await office.client.decide(pipeline, "approved", gate="conflict")
    await office.client.decide(pipeline, "rejected", reason="not now")
    result = await office.ended(pipeline)
    assert result.ending is PipelineEnding.REJECTED
    assert "not now" in result.why
    assert office.forge.merges == 0


async def pipeline_without_a_change_ends(office: Office) -> None:
    office.plays(session("coding", notes(), deliver(CODING)))
    assert (await office.ended(await office.begin())).ending is PipelineEnding.NO_CHANGE


async def pipeline_whose_session_fails_has_failed(office: Office) -> None:
    office.plays(session("coding", {"text": "no"}, {"text": "no"}))
    assert (await office.ended(await office.begin())).ending is PipelineEnding.FAILED


async def pipeline_whose_fixer_does_nothing_is_escalated(office: Office) -> None:
    office.plays(
        session("coding", write("work.txt", "nearly"), notes(), deliver(CODING)),
        session("review", notes(), deliver(MINOR)),
        session("fix", notes(), deliver(CODING)),
    )
    assert (await office.ended(await office.begin())).ending is PipelineEnding.ESCALATED


async def pipeline_out_of_passes_asks_about_the_findings(office: Office) -> None:
    office.configure(AUTO.replace("auto", "auto, passes_max: 0"))
    office.plays(
        session("coding", write("work.txt", "nearly"), notes(), deliver(CODING)),
        session("review", notes(), deliver(MINOR)),
    )
    pipeline = await office.begin()
    view = await office.until(pipeline, lambda view: view.gate is not None)
    assert view.gate is not None
    assert view.gate.id == "findings"
    await office.client.decide(pipeline, "approved", reason="the corner is far away")
    result = await office.ended(pipeline)
    assert result.ending is PipelineEnding.MERGED


async def pipeline_is_killed_in_a_session(office: Office) -> None:
    slow = {**write("work.txt", "half"), "delay_s": 30}
    office.plays(session("coding", slow))
    pipeline = await office.begin()
    await office.until(pipeline, lambda view: bool(view.running and view.running.turn))
    await office.client.kill(pipeline)
    assert (await office.ended(pipeline)).ending is PipelineEnding.KILLED


async def pipeline_is_killed_at_a_gate(office: Office) -> None:
    office.plays(*quick())
    pipeline = await office.begin()
    await office.until(pipeline, lambda view: view.gate is not None)
    await office.client.kill(pipeline)
    result = await office.ended(pipeline)
    assert result.ending is PipelineEnding.KILLED
    assert office.forge.merges == 0


async def pipeline_rebases_when_the_base_moved(office: Office) -> None:
    office.plays(*quick())
    pipeline = await office.begin()
    await office.until(pipeline, lambda view: view.gate is not None)
    moved = office.repository.advance("main", {"other.txt": "theirs"}, "Theirs")
    await office.client.decide(pipeline, "approved")
    # The tree is another one now, so it is reviewed, and asked about, again.
    await office.until(pipeline, lambda view: view.gate is not None and len(view.records) == 3)
    await office.client.decide(pipeline, "approved")
    result = await office.ended(pipeline)
    assert result.ending is PipelineEnding.MERGED
    assert result.merged_commit is not None
    assert moved.commit in office.repository.history(result.merged_commit)


async def pipeline_asks_when_the_base_conflicts(office: Office) -> None:
    office.plays(*quick())
    pipeline = await office.begin()
    await office.until(pipeline, lambda view: view.gate is not None)
    office.repository.advance("main", {"work.txt": "theirs"}, "Theirs")
    await office.client.decide(pipeline, "approved")
    view = await office.until(
        pipeline, lambda view: view.gate is not None and view.gate.id == "conflict"
    )
    assert view.gate is not None
    assert "work.txt" in view.gate.text
    await office.client.decide(pipeline, "rejected")
    assert (await office.ended(pipeline)).ending is PipelineEnding.REJECTED


async def pipeline_with_a_broken_configuration_is_held(office: Office) -> None:
    office.configure("verfy: []\n")
    office.plays(*quick())
    pipeline = await office.begin()
    view = await office.until(pipeline, lambda view: view.held is not None)
    assert view.held is not None
    assert "verify" in view.held.said
    office.configure(AUTO)
    await office.client.resume(pipeline)
    assert (await office.ended(pipeline)).ending is PipelineEnding.MERGED


async def pipeline_is_paused_between_sessions(office: Office) -> None:
    office.configure(AUTO)
    slow = {**notes(), "delay_s": 0.3}
    office.plays(
        session("coding", write("work.txt", "done"), slow, deliver(CODING)),
        *quick(),
    )
    pipeline = await office.begin()
    await office.until(pipeline, lambda view: bool(view.running and view.running.turn))
    await office.client.pause(pipeline)
    view = await office.until(pipeline, lambda view: view.paused)
    assert view.paused
    await office.client.resume(pipeline)
    assert (await office.ended(pipeline)).ending is PipelineEnding.MERGED


_CLEAN = {"verdict": "clean", "findings": []}

STORIES: tuple[Story, ...] = tuple(
    story
    for name, story in [*globals().items(), *vars(spec_stories).items()]
    if name.startswith(("session_", "pipeline_")) and asyncio.iscoroutinefunction(story)
)
