"""Stories of what a spec can ask for beyond steps in a row; played and recorded as the others."""

from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError

from tests.workflows.office import (
    CODING,
    NOTES,
    Office,
    calls,
    deliver,
    follows,
    notes,
    write,
)
from worktrain.contracts.pipeline import PipelineEnding
from worktrain.contracts.route import PipelineKind
from worktrain.contracts.session import SessionEnding
from worktrain.contracts.steering import Answer, GateAnswer, Rewind
from worktrain.contracts.task import Task
from worktrain.contracts.trace import Trace, TraceKind

CLAIM = """
- id: look-around
  title: Look around
  prompt: Look around.
"""
HELPER = f"steps:\n{CLAIM}  gives: {{colour: string}}\ngives: {{colour: string}}\n"
PAIR = """
steps:
- id: ask-both
  title: Ask both
  type: parallel
  failPolicy: {policy}
  maxConcurrency: {most}
  parallelDelegations:
  - {{workflowId: helper, goal: Find the first colour, name: first-one,
     gives: {{firstColour: given.colour}}}}
  - {{workflowId: helper, goal: Find the second colour, name: second-one}}
  synthesis: {{prompt: "Put {{{{firstColour}}}} and the rest together."}}
"""
VERDICT = {
    "kind": "wr.gate_verdict",
    "verdict": "approved",
    "confidence": "high",
    "rationale": "The notes name what was done, and it was there when looked at.",
}


def given(**context: Any) -> dict[str, Any]:
    """A step completed with variables."""
    return calls(("complete_step", {"notes": NOTES, "context": context}))


async def traced(office: Office, session: str) -> list[Trace]:
    return [entry for _, _, entry in await office.store.trace(session)]


async def session_has_children_run_and_puts_them_together(office: Office) -> None:
    office.add_spec("helper", HELPER)
    office.add_spec("pair", PAIR.format(policy="continue", most=1))
    office.plays(
        follows("pair", notes()),
        {
            "name": "failing",
            "match": "(?s)follows helper.*second colour",
            "turns": [{"text": "no"}, {"text": "no"}],
        },
        follows("helper", given(colour="red")),
    )
    handle = await office.run_session(spec="pair")
    result = await handle.result()
    assert result.ending is SessionEnding.COMPLETED
    office.ran += [f"{handle.id}/first-one-1", f"{handle.id}/second-one-2"]
    assert result.record.turns == 1
    assert "Put red and the rest together." in office.heard[-1]
    assert "second-one: stopped early" in office.heard[-1]


async def session_is_given_up_when_a_child_fails(office: Office) -> None:
    office.add_spec("helper", HELPER)
    office.add_spec("pair", PAIR.format(policy="abort", most=2))
    office.plays(
        {
            "name": "failing",
            "match": "(?s)follows helper.*first colour",
            "turns": [{"text": "no"}, {"text": "no"}],
        },
        follows("helper", {**given(colour="red"), "delay_s": 30}),
    )
    handle = await office.run_session(spec="pair")
    result = await handle.result()
    assert result.ending is SessionEnding.BLOCKED
    assert "first-one ended stopped_early" in result.why
    office.ran += [f"{handle.id}/first-one-1", f"{handle.id}/second-one-2"]


async def session_waits_for_a_person_at_a_gate(office: Office) -> None:
    office.add_spec("gated", f"steps:{CLAIM}  requireConfirmation: {{kind: human_approval}}\n")
    office.plays(follows("gated", notes(), notes()))
    handle = await office.run_session(spec="gated")
    view = await office.session_until(handle.id, lambda view: view.gate is not None)
    assert view.gate is not None
    assert NOTES in view.gate.text
    refused = GateAnswer(answer="rejected", by="tester", reason="name the file")
    await handle.execute_update("decide", refused)
    await office.session_until(handle.id, lambda view: view.gate is not None and view.turn == 2)
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update(
            "decide", GateAnswer(answer="approved", by="tester", gate="another")
        )
    await handle.execute_update("decide", GateAnswer(answer="approved", by="tester"))
    result = await handle.result()
    assert result.ending is SessionEnding.COMPLETED
    assert any("name the file" in one for one in office.heard)


async def session_is_judged_by_an_evaluator(office: Office) -> None:
    office.add_spec("judged", f"steps:{CLAIM}  requireConfirmation: true\n")
    contract = "  outputContract: {contractRef: wr.contracts.gate_verdict}\n"
    office.add_spec("gate-evaluation", f"steps:{CLAIM}{contract}")
    office.plays(follows("judged", notes()), follows("gate-evaluation", deliver(VERDICT)))
    handle = await office.run_session(spec="judged")
    assert (await handle.result()).ending is SessionEnding.COMPLETED
    office.ran.append(f"{handle.id}/gate-1")


async def session_asks_what_its_spec_asks(office: Office) -> None:
    questions = """  questions:
  - {id: colour, text: Which colour, type: choice, options: [red, blue]}
  - {id: size, text: Which size, type: number, deadlineMinutes: 0.005, default: 3}
"""
    office.add_spec("asking", f"steps:{CLAIM}{questions}")
    office.plays(follows("asking", notes()))
    handle = await office.run_session(spec="asking")
    view = await office.session_until(handle.id, lambda view: view.question is not None)
    assert view.question is not None
    wrong = Answer(question=view.question.id, text="green", by="tester")
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update("answer", wrong)
    await handle.execute_update("answer", wrong.model_copy(update={"text": "BLUE"}))
    # Nobody answers the second one: its default is taken, and said to have been.
    assert (await handle.result()).ending is SessionEnding.COMPLETED
    told = [entry.text for entry in await traced(office, handle.id)]
    assert "tester: colour is BLUE" in told
    assert "the deadline: size is 3" in told


async def session_gathers_what_a_step_needs(office: Office) -> None:
    office.repository.advance("main", {"docs/plan.md": "Paint it red.\n"}, "Plan")
    gather = "  contextGather: [{variable: plan, paths: [docs/plan.md]}]\n"
    step = CLAIM.replace("Look around.", '"The plan is {{plan}}"')
    office.add_spec("gathering", f"steps:{step}{gather}")
    office.plays(follows("gathering", notes()))
    handle = await office.run_session(spec="gathering")
    assert (await handle.result()).ending is SessionEnding.COMPLETED
    assert "Paint it red." in office.heard[0]


async def session_spawns_agents(office: Office) -> None:
    office.add_spec("helper", HELPER)
    office.add_spec("alone", f"steps:{CLAIM}")
    one = {"workflowId": "helper", "goal": "Find a colour"}
    office.plays(
        follows(
            "alone",
            calls(("spawn_agent", one), ("spawn_agent", {"goal": "nothing to follow"})),
            notes(),
        ),
        follows("helper", given(colour="red")),
    )
    handle = await office.run_session(spec="alone")
    result = await handle.result()
    assert result.ending is SessionEnding.COMPLETED
    assert result.record.turns == 2
    office.ran.append(f"{handle.id}/agent-1")


async def session_is_put_back_to_an_earlier_step(office: Office) -> None:
    two = f"steps:{CLAIM}{CLAIM.replace('look-around', 'look-again')}"
    office.add_spec("twice", two)
    slow = {**notes(), "delay_s": 0.3}
    office.plays(follows("twice", notes(), slow, notes()))
    handle = await office.run_session(spec="twice")
    await office.session_until(handle.id, lambda view: view.turn == 2)
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update("rewind", Rewind(to="c9", reason="because", by="tester"))
    await handle.execute_update("rewind", Rewind(to="look-again", reason="too hasty", by="tester"))
    result = await handle.result()
    assert result.ending is SessionEnding.COMPLETED
    assert TraceKind.REWOUND in [entry.kind for entry in await traced(office, handle.id)]
    assert any("too hasty" in one for one in office.heard)


async def session_is_put_back_while_it_waits(office: Office) -> None:
    asking = f"steps:{CLAIM}{CLAIM.replace('look-around', 'look-again')}"
    asking += "  questions: [{id: colour, text: Which colour}]\n"
    office.add_spec("asking", asking)
    office.plays(follows("asking", notes(), notes()))
    handle = await office.run_session(spec="asking")
    await office.session_until(handle.id, lambda view: view.question is not None)
    await handle.execute_update("rewind", Rewind(to="c1", reason="once more", by="tester"))
    view = await office.session_until(
        handle.id, lambda view: view.question is not None and view.turn == 2
    )
    assert view.question is not None
    await handle.execute_update(
        "answer", Answer(question=view.question.id, text="red", by="tester")
    )
    result = await handle.result()
    assert result.ending is SessionEnding.COMPLETED
    assert [one for one in office.heard if "once more" in one]


async def session_loops_skips_and_jumps(office: Office) -> None:
    office.add_spec(
        "winding",
        """
steps:
- {id: take-stock, title: Take stock, prompt: Take stock., gives: {parts: array}}
- {id: never-done, title: Never, prompt: Never., runCondition: {var: parts, equals: none}}
- id: each-part
  title: Each part
  type: loop
  loop: {type: forEach, items: parts, maxIterations: 5, itemVar: part}
  body:
  - {id: do-part, title: Do a part, prompt: "Do {{part}}."}
- id: look-back
  title: Look back
  prompt: Look back.
  jumpIf: [{condition: {var: again}, to: take-stock, maxJumps: 1}]
""",
    )
    office.plays(
        follows(
            "winding",
            given(parts=["one", "two"]),
            notes(),
            notes(),
            given(again=True),
            given(parts=[]),
            notes(),
        )
    )
    handle = await office.run_session(spec="winding")
    assert (await handle.result()).ending is SessionEnding.COMPLETED
    seen = [entry.kind for entry in await traced(office, handle.id)]
    assert seen.count(TraceKind.SKIPPED) == 2
    assert seen.count(TraceKind.PASS) == 2
    assert seen.count(TraceKind.JUMPED) == 1


async def pipeline_of_one_spec_keeps_its_work(office: Office) -> None:
    contract = "  outputContract: {contractRef: wr.contracts.coding_handoff}\n"
    office.add_spec("painting", f"steps:{CLAIM}{contract}")
    office.plays(follows("painting", write("colour.txt", "red"), deliver(CODING)))
    task = Task(source="typed", title="Paint it")
    begun = await office.client.start(office.repo, task, PipelineKind.SPEC, None, spec="painting")
    office.ran.append(begun.id)
    result = await office.ended(begun.id)
    assert result.ending is PipelineEnding.COMPLETED
    assert result.branch in office.repository.refs


async def pipeline_of_a_spec_is_forked_and_continued(office: Office) -> None:
    office.add_spec("looking", f"steps:{CLAIM}{CLAIM.replace('look-around', 'look-again')}")
    more = follows("looking", notes(), notes(), notes(), notes())
    office.plays(more)
    task = Task(source="typed", title="Look")
    begun = await office.client.start(office.repo, task, PipelineKind.SPEC, None, spec="looking")
    office.ran.append(begun.id)
    first = await office.ended(begun.id)
    assert first.ending is PipelineEnding.COMPLETED
    session = first.phases[0].session
    fork = await office.client.fork(session, "look-again", "from here, differently")
    office.ran.append(fork.id)
    forked = await office.ended(fork.id)
    assert forked.ending is PipelineEnding.COMPLETED
    assert forked.phases[0].turns == 1
    again = await office.client.go_on(session, "and once more")
    office.ran.append(again.id)
    continued = await office.ended(again.id)
    assert continued.ending is PipelineEnding.COMPLETED
    assert continued.phases[0].turns == 1
    assert any("and once more" in one for one in office.heard)
