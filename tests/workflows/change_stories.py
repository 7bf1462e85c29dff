"""Stories of what changes while the work goes on: the base, the branch, the task, other work."""

import asyncio
from typing import Any

from tests.workflows.deliveries import (
    BRIEF,
    BY_READING,
    MET,
    asked,
    coder,
    fixer,
    found,
    merged,
    reviewer,
    task_of,
    unmerged,
)
from tests.workflows.office import (
    CLEAN,
    CODING,
    NOTES,
    SHAPING,
    Office,
    calls,
    classify,
    deliver,
    notes,
    session,
    write,
)
from tests.workflows.project import TESTS
from worktrain.contracts.pipeline import PipelineEnding, PipelineResult, PipelineView
from worktrain.contracts.proof import Proof
from worktrain.contracts.route import Phase, PipelineKind

REVIEWING = "This session is a review"
DONE = coder(write("work.txt", "done"))


def branch_of(pipeline: str) -> str:
    return f"worktrain/{pipeline.rpartition('/')[2]}"


def brings_over(content: str | None = None, match: str | None = None) -> dict[str, Any]:
    """Who settles a conflict; without a content it gives up."""
    if content is None:
        return session("rebase", {"text": "no"}, {"text": "no"}, match=match)
    return session("rebase", write("work.txt", content), notes(), deliver(CODING), match=match)


async def delivery_takes_in_what_somebody_pushed(office: Office) -> None:
    """A person pushes while the fixer works: nothing is committed over it, and they are asked."""
    office.configure(BRIEF)
    office.plays(*task_of(DONE, reviewer(found("minor"), CLEAN), fixer("fixed")))
    pipeline = await office.begin()
    branch = branch_of(pipeline)
    pushed = {"other.txt": "theirs"}
    office.meanwhile.append(
        (r"The finding \(minor\)", lambda: office.repository.advance(branch, pushed, "Theirs"))
    )
    text = await asked(office, pipeline, "foreign-commits")
    theirs = office.repository.refs[branch]
    assert f"{branch} holds commits up to {theirs[:12]} that WorkTrain did not make" in text
    assert "Somebody <somebody@example.invalid>" in text
    await office.client.decide(pipeline, "approved")
    result, proof = await merged(office, pipeline)
    assert result.merged_commit is not None
    assert theirs in office.repository.history(result.merged_commit)
    files = office.repository.commits[result.merged_commit].files
    assert (files["work.txt"], files["other.txt"]) == ("fixed", "theirs")
    assert proof.examination is not None
    assert [change.path for change in proof.examination.changes] == ["other.txt", "work.txt"]
    assert [one.gate for one in proof.decisions] == ["foreign-commits"]


async def delivery_of_a_branch_that_was_taken_over_ends(office: Office) -> None:
    """Somebody pushes while the merge waits for a yes: it was given to another tree."""
    office.configure(BRIEF.replace("auto", "ask"))
    office.plays(*task_of(DONE, reviewer(CLEAN)))
    pipeline = await office.begin()
    await asked(office, pipeline, "merge")
    theirs = office.repository.advance(branch_of(pipeline), {"work.txt": "mine"}, "Mine")
    await office.client.decide(pipeline, "approved")
    await asked(office, pipeline, "foreign-commits")
    await office.client.decide(pipeline, "rejected", reason="I go on by hand")
    result = await unmerged(office, pipeline, PipelineEnding.REJECTED)
    assert "I go on by hand" in result.why
    assert office.repository.refs[branch_of(pipeline)] == theirs.commit


async def delivery_goes_on_when_the_base_moves_twice(office: Office) -> None:
    office.configure(BRIEF.replace("auto", "ask"))
    office.plays(*task_of(DONE, reviewer(CLEAN, CLEAN, CLEAN)))
    pipeline = await office.begin()
    for turns in (5, 7):
        await asked(office, pipeline, "merge")
        office.repository.advance("main", {f"other-{turns}.txt": "theirs"}, "Theirs")
        await office.client.decide(pipeline, "approved")
        # Until the same reviewer has seen it on the base as it is now.
        await _reviewed(office, pipeline, turns)
    moved = office.repository.refs["main"]
    await asked(office, pipeline, "merge")
    await office.client.decide(pipeline, "approved")
    result, proof = await merged(office, pipeline)
    assert result.merged_commit is not None
    assert office.repository.history(result.merged_commit)[1] == moved
    assert result.facts["rebases"] == 2
    # Each yes was to one tree; only the last one counts.
    assert [one.tree == result.tree for one in proof.decisions] == [False, False, True]
    assert (proof.base.commit, proof.verification.base.commit) == (moved, moved)


async def delivery_of_what_the_base_has_meanwhile_ends(office: Office) -> None:
    """Somebody else has merged the same change: an empty one is neither reviewed nor merged."""
    office.configure(BRIEF)
    office.plays(*task_of(DONE, reviewer(CLEAN)))
    office.meanwhile.append(
        (REVIEWING, lambda: office.repository.advance("main", {"work.txt": "done"}, "Theirs"))
    )
    result = await unmerged(office, await office.begin(), PipelineEnding.NO_CHANGE)
    assert "nothing is left of the change on main as it is now" in result.why


async def delivery_whose_base_conflicts_is_brought_over(office: Office) -> None:
    office.configure(BRIEF)
    office.plays(
        *task_of(DONE, reviewer(CLEAN, CLEAN), brings_over("both", match="work.txt")),
    )
    office.meanwhile.append(
        (REVIEWING, lambda: office.repository.advance("main", {"work.txt": "theirs"}, "Theirs"))
    )
    pipeline = await office.begin()
    result, proof = await merged(office, pipeline)
    assert result.merged_commit is not None
    assert office.repository.commits[result.merged_commit].files["work.txt"] == "both"
    assert [one.phase for one in result.phases].count(Phase.REBASE) == 1
    assert [one.at.tree == result.tree for one in proof.reviews] == [False, True]
    # Nothing is left of the branch that conflicted, nor of the new one.
    assert not [name for name in office.repository.refs if name.startswith("worktrain/")]


async def delivery_whose_conflict_nobody_can_settle_asks(office: Office) -> None:
    office.configure(BRIEF)
    office.plays(*task_of(DONE, reviewer(CLEAN, CLEAN), brings_over()))
    office.meanwhile.append(
        (REVIEWING, lambda: office.repository.advance("main", {"work.txt": "theirs"}, "Theirs"))
    )
    pipeline = await office.begin()
    text = await asked(office, pipeline, "conflict")
    branch = f"{branch_of(pipeline)}-again-1"
    assert "main conflicts with this change in work.txt" in text
    assert f"The branch is {branch}" in text
    by_hand = office.repository.advance(branch, {"work.txt": "by hand"}, "By hand")
    await office.client.decide(pipeline, "approved")
    result, _ = await merged(office, pipeline)
    assert result.merged_commit == by_hand.commit


async def delivery_in_slices_is_joined_one_by_one(office: Office) -> None:
    """Two side by side; the second conflicts with the first, and a session settles that."""
    criteria = [{"id": f"AC{number}", "statement": "It works."} for number in (1, 2, 3)]
    plans = [_slice(1), _slice(2), _slice(3, dependsOn=["S2"])]
    shaped = {**SHAPING, "acceptanceCriteria": criteria, "slices": plans}
    evidence = [{**BY_READING, "criterion": f"AC{n}", "code": [f"{n}.txt"]} for n in (1, 2, 3)]
    judged = {
        **CLEAN,
        "criteria": [{**MET[0], "criterion": f"AC{n}"} for n in (1, 2, 3)],
        "acceptedFiles": ["shared.txt"],
    }
    office.repository.advance("main", {TESTS: "old: README.md has repository\n"}, "Test")
    office.configure(BRIEF)
    brought = session(
        "rebase",
        *(write("shared.txt", "both"), write("2.txt", "done")),
        *(notes(), deliver({**CODING, "criteria": [evidence[1]]})),
        match="The slice S2, which conflicts",
    )
    office.plays(
        classify(taskComplexity="Medium", riskLevel="Medium", maturity="shaped"),
        session("shaping", deliver(shaped)),
        _slice_coder(1, evidence[0], write("shared.txt", "first")),
        _slice_coder(2, evidence[1], write("shared.txt", "second")),
        _slice_coder(3, evidence[2]),
        brought,
        reviewer(judged),
    )
    pipeline = await office.begin(PipelineKind.FEATURE)
    result, proof = await merged(office, pipeline)
    assert result.merged_commit is not None
    files = office.repository.commits[result.merged_commit].files
    assert (files["shared.txt"], files["1.txt"], files["2.txt"]) == ("both", "done", "done")
    named = [record.session.rpartition("/")[2] for record in result.phases]
    assert named[2:] == [*("coding-s1-1", "coding-s2-1", "rebase-s2-1", "coding-s3-1", "review-1")]
    assert proof.matrix is not None
    assert [row.holes for row in proof.matrix.rows] == [(), (), ()]
    # On the base and on each of three that were joined, and once more after the merge.
    assert office.shell.runs == 7


async def delivery_whose_slices_conflict_for_good_asks(office: Office) -> None:
    """A person puts the second one on top of the first by hand, and it is joined from there."""
    shaped = {**SHAPING, "slices": [_slice(1), _slice(2, criteria=["AC1"])]}
    evidence = {**BY_READING, "code": ["1.txt"]}
    office.configure(BRIEF)
    office.plays(
        classify(taskComplexity="Medium", riskLevel="Medium", maturity="shaped"),
        session("shaping", deliver(shaped)),
        _slice_coder(1, evidence, write("shared.txt", "first")),
        _slice_coder(2, evidence, write("shared.txt", "second")),
        brings_over(),
        reviewer({**CLEAN, "criteria": MET, "acceptedFiles": ["shared.txt"]}),
    )
    pipeline = await office.begin(PipelineKind.FEATURE)
    text = await asked(office, pipeline, "conflict")
    branch = f"{branch_of(pipeline)}-s2-again"
    assert "The slices before S2 conflict with it in shared.txt" in text
    assert f"The branch is {branch}" in text
    office.repository.advance(branch, {"shared.txt": "both", "2.txt": "done"}, "By hand")
    await office.client.decide(pipeline, "approved")
    result, _ = await merged(office, pipeline)
    assert result.merged_commit is not None
    files = office.repository.commits[result.merged_commit].files
    assert (files["shared.txt"], files["1.txt"], files["2.txt"]) == ("both", "done", "done")
    assert not [
        name for name in office.repository.refs if name.startswith(branch.removesuffix("-again"))
    ]


async def delivery_of_an_edited_task_asks(office: Office) -> None:
    issue = office.home / "issue.md"
    issue.write_text("Paint it red\n")
    office.configure(BRIEF)
    office.plays(*task_of(DONE, reviewer(CLEAN)))
    office.meanwhile.append((REVIEWING, lambda: issue.write_text("Paint it blue\n")))
    pipeline = await office.begin(title="Paint it red", place=str(issue))
    text = await asked(office, pipeline, "task-edited")
    assert "It now says: Paint it blue" in text
    await office.client.decide(pipeline, "approved")
    _, proof = await merged(office, pipeline)
    assert proof.task.title == "Paint it red"
    assert any("the task was edited after it had been accepted" in one for one in proof.notices)


async def delivery_waits_for_its_turn_to_merge(office: Office) -> None:
    """Two for one base branch: the later one is tested anew on what the first one made of it."""
    office.configure(BRIEF)
    office.plays(
        *task_of(
            coder(write("one.txt", "done"), match="The one thing"),
            coder(write("two.txt", "done"), match="The two things"),
            reviewer(CLEAN, CLEAN),
        )
    )
    pipelines = [await office.begin(title=title) for title in ("The one thing", "The two things")]
    office.ran.append(f"lane/{pipelines[0].split('/')[1]}/main")
    ends = await asyncio.gather(*(merged(office, pipeline) for pipeline in pipelines))
    assert sorted(map(_rebases, ends)) == [0, 1]
    (_, first), (_, second) = sorted(ends, key=_rebases)
    assert second.base == first.merged
    files = office.repository.commits[office.repository.refs["main"]].files
    assert {"one.txt", "two.txt"} <= files.keys()


def _slice(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"S{number}",
        "title": f"Part {number}",
        "goal": f"Part {number} works.",
        "files": [f"{number}.txt"],
        "check": "Run it.",
        "criteria": [f"AC{number}"],
        **more,
    }


def _slice_coder(number: int, evidence: dict[str, Any], *turns: Any) -> dict[str, Any]:
    todo = [{"item": item, "done": True} for item in (1, 2, 3, 4)]
    proven = calls(("complete_step", {"notes": NOTES, "context": {"sliceState": "proven"}}))
    return session(
        "coding",
        *(*turns, write(f"{number}.txt", "done")),
        calls(("complete_step", {"notes": NOTES, "todo": todo})),
        *(proven, deliver({**CODING, "criteria": [evidence]})),
        match=f"Of the whole work only the slice S{number}",
    )


def _rebases(end: tuple[PipelineResult, Proof]) -> int:
    return int(str(end[0].facts["rebases"]))


async def _reviewed(office: Office, pipeline: str, turns: int) -> None:
    def seen(view: PipelineView) -> bool:
        return turns == sum(one.turns for one in view.records if one.phase == Phase.REVIEW)

    await office.until(pipeline, seen)
