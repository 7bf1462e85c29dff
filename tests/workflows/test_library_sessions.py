"""Every session spec of the library through the real workflow, with an agent that obeys.

It must go the way that the machine alone goes with the same agent, and end in its contract.
"""

import asyncio
import os
from collections.abc import Mapping
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from tests.specs.library import ENDS, LIBRARY, WAYS, Way, compiled, needed, played
from tests.workflows.obedient import ObedientModel
from tests.workflows.office import Office, calls, follows, notes, write
from worktrain.contracts.session import SessionEnding, SessionResult, SessionView
from worktrain.contracts.steering import Answer, GateAnswer

LONG = bool(os.environ.get("WORKTRAIN_LONG"))
SESSION_S_MAX = 60
MOST_DIFFERENT = (
    *("architecture-design", "author-a-spec", "bug-investigation", "coding-task", "discovery"),
    *("documentation-update", "fix", "gate-evaluation", "refactoring", "review", "shaping"),
    *("standup", "triage-alert", "ui-ux-design"),
)
"""Specs that differ in what they ask of the machine: lists, rounds, jumps, routines in a step's
place, sessions of their own, gates, questions, or nothing of these."""
CHOSEN = tuple(
    max((way for way in WAYS if way.spec == name), key=lambda way: len(way.steps.split()))
    for name in MOST_DIFFERENT
)
"""Of each the way with the most steps; every way of every spec is a long drill."""
PAIR = """
steps:
- {id: write-it, title: Write it, prompt: Write it down.}
- id: have-it-read
  title: Have it read
  type: parallel
  parallelDelegations: [{workflowId: reader, goal: Read it, name: reader}]
  synthesis: {prompt: Say what was read.}
"""
READER = "steps:\n- {id: read-it, title: Read it, prompt: Read it.}\n"


@pytest.mark.parametrize(
    "way",
    WAYS if LONG else CHOSEN,
    ids=lambda way: f"{way.spec} {','.join(way.variables)}",
)
async def test_a_session_of_the_library_goes_its_way_and_ends_in_its_contract(
    office: Office, way: Way
) -> None:
    model = ObedientModel((compiled(name) for name in LIBRARY), way.variables)
    office.model = model
    handle = await office.run_session(spec=way.spec, context=needed(way.spec, way.variables))
    result = await operated(handle, way.variables)
    assert result.ending is SessionEnding.COMPLETED, result.why
    assert result.artifacts[-1].kind == ENDS[way.spec]
    alone = played(way.spec, way.variables)
    said = [one.partition("@")[0] for one in alone.way if one[0] not in "+="]
    assert [step for spec, step in model.told if spec == way.spec] == said
    children = sum(one.startswith("+") for one in alone.way)
    asked = [step for spec, step in model.told if spec != way.spec]
    assert bool(children) is bool(asked)
    assert len(asked) >= children
    assert result.record.turns == len(said)


async def test_child_sessions_see_what_their_parent_wrote(office: Office) -> None:
    office.add_spec("pair", PAIR)
    office.add_spec("reader", READER)
    read = calls(("Read", {"filePath": "found.txt"}))
    office.plays(
        follows("pair", write("found.txt", "It was in the attic."), notes(), notes()),
        follows("reader", read, notes()),
    )
    handle = await office.run_session(spec="pair", branch="worktrain/pair")
    assert (await handle.result()).ending is SessionEnding.COMPLETED
    assert any("It was in the attic." in heard for heard in office.heard)


async def operated(
    handle: WorkflowHandle[Any, SessionResult], variables: Mapping[str, Any]
) -> SessionResult:
    """Wait for the end of a session; meanwhile approve what it waits for, and answer it with
    these variables, else with the first option or with 3."""
    ended = asyncio.ensure_future(handle.result())
    async with asyncio.timeout(SESSION_S_MAX):
        while not ended.done():
            await asyncio.wait([ended], timeout=0.2)
            if ended.done():
                break
            view = await handle.query("view", result_type=SessionView)
            if view.gate is not None:
                approved = GateAnswer(answer="approved", by="tester", gate=view.gate.id)
                await handle.execute_update("decide", approved)
            if (question := view.question) is not None:
                text = variables.get(question.variable) or next(iter(question.options), "3")
                answer = Answer(question=question.id, text=text, by="tester")
                await handle.execute_update("answer", answer)
        return await ended
