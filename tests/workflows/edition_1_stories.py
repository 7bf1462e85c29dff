"""Stories of pipelines that began under the first edition of the rules: they go on by them.

Their histories were recorded when those rules were the only ones.
"""

import pytest

from tests.workflows.office import (
    CODING,
    DISCOVERY,
    MINOR,
    SHAPING,
    Office,
    deliver,
    notes,
    quick,
    session,
    write,
)
from worktrain.client import Refused
from worktrain.contracts.pipeline import PipelineEnding
from worktrain.contracts.route import PipelineKind

AUTO = "verify: [{name: tests, run: run the tests}]\nmerge: {policy: auto}\n"
_CLEAN = {"verdict": "clean", "findings": []}


async def pipeline_merges(office: Office) -> None:
    office.configure(AUTO)
    office.plays(
        session("discovery", notes(), deliver(DISCOVERY)),
        session("shaping", deliver(SHAPING)),
        *quick(),
    )
    result = await office.ended(await office.begin_first_edition(PipelineKind.FEATURE))
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
    result = await office.ended(await office.begin_first_edition())
    assert result.ending is PipelineEnding.MERGED
    assert [p.phase for p in result.phases] == ["coding", "review", "fix", "review"]


async def pipeline_waits_for_an_approval(office: Office) -> None:
    office.plays(*quick())
    pipeline = await office.begin_first_edition()
    view = await office.until(pipeline, lambda view: view.gate is not None)
    assert view.gate is not None
    assert view.gate.id == "merge"
    await office.client.decide(pipeline, "approved")
    assert (await office.ended(pipeline)).ending is PipelineEnding.MERGED


async def pipeline_is_rejected(office: Office) -> None:
    office.plays(*quick())
    pipeline = await office.begin_first_edition()
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
    assert (
        await office.ended(await office.begin_first_edition())
    ).ending is PipelineEnding.NO_CHANGE


async def pipeline_whose_session_fails_has_failed(office: Office) -> None:
    office.plays(session("coding", {"text": "no"}, {"text": "no"}))
    assert (await office.ended(await office.begin_first_edition())).ending is PipelineEnding.FAILED


async def pipeline_whose_fixer_does_nothing_is_escalated(office: Office) -> None:
    office.plays(
        session("coding", write("work.txt", "nearly"), notes(), deliver(CODING)),
        session("review", notes(), deliver(MINOR)),
        session("fix", notes(), deliver(CODING)),
    )
    assert (
        await office.ended(await office.begin_first_edition())
    ).ending is PipelineEnding.ESCALATED


async def pipeline_out_of_passes_asks_about_the_findings(office: Office) -> None:
    office.configure(AUTO.replace("auto", "auto, passes_max: 0"))
    office.plays(
        session("coding", write("work.txt", "nearly"), notes(), deliver(CODING)),
        session("review", notes(), deliver(MINOR)),
    )
    pipeline = await office.begin_first_edition()
    view = await office.until(pipeline, lambda view: view.gate is not None)
    assert view.gate is not None
    assert view.gate.id == "findings"
    await office.client.decide(pipeline, "approved", reason="the corner is far away")
    result = await office.ended(pipeline)
    assert result.ending is PipelineEnding.MERGED


async def pipeline_is_killed_in_a_session(office: Office) -> None:
    slow = {**write("work.txt", "half"), "delay_s": 30}
    office.plays(session("coding", slow))
    pipeline = await office.begin_first_edition()
    await office.until(pipeline, lambda view: bool(view.running and view.running.turn))
    await office.client.kill(pipeline)
    assert (await office.ended(pipeline)).ending is PipelineEnding.KILLED


async def pipeline_is_killed_at_a_gate(office: Office) -> None:
    office.plays(*quick())
    pipeline = await office.begin_first_edition()
    await office.until(pipeline, lambda view: view.gate is not None)
    await office.client.kill(pipeline)
    result = await office.ended(pipeline)
    assert result.ending is PipelineEnding.KILLED
    assert office.forge.merges == 0


async def pipeline_rebases_when_the_base_moved(office: Office) -> None:
    office.plays(*quick())
    pipeline = await office.begin_first_edition()
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
    pipeline = await office.begin_first_edition()
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
    pipeline = await office.begin_first_edition()
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
    pipeline = await office.begin_first_edition()
    await office.until(pipeline, lambda view: bool(view.running and view.running.turn))
    await office.client.pause(pipeline)
    view = await office.until(pipeline, lambda view: view.paused)
    assert view.paused
    await office.client.resume(pipeline)
    assert (await office.ended(pipeline)).ending is PipelineEnding.MERGED
