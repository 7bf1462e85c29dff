"""Stories of deliveries under the rules of today: the ways there are, and how each can end.

Each looks at the proof or its absence, at the route's explanation, and at what the operator is
told.
"""

from typing import Any

import pytest

from tests.workflows.deliveries import (
    BRIEF,
    BY_READING,
    DELIVERS,
    MET,
    RULES,
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
    DISCOVERY,
    LOOKED_BACK,
    SHAPING,
    Office,
    classify,
    deliver,
    follows,
    look_back,
    notes,
    session,
    small,
    write,
)
from tests.workflows.project import TESTS
from worktrain.client import Refused
from worktrain.contracts.pipeline import PipelineEnding, PipelineView
from worktrain.contracts.route import Phase, PipelineKind

DONE = coder(write("work.txt", "done"))
UNSURE = {
    "interpretation": "Paint it blue.",
    "interpretationConfidence": "low",
    "openQuestions": ["Which blue?"],
}
INVESTIGATED = {
    "kind": "wr.investigation",
    "summary": "An empty list has no total.",
    "rootCause": "The sum begins with the first item.",
    "confidence": "high",
    "severity": "major",
    "evidence": ["work.txt, the first line"],
    "recommendedFix": "Begin with zero.",
}


# --- the ways there are ------------------------------------------------------------------------


async def delivery_merges(office: Office) -> None:
    office.configure(RULES)
    office.plays(*small(reviewer(CLEAN)))
    result, proof = await merged(office, await office.begin())
    assert office.repository.refs["main"] == result.merged_commit
    phases = ["classify", "coding", "review", "retrospective"]
    assert [record.phase for record in result.phases] == phases
    assert proof.format == "worktrain-proof-2"
    assert result.route is not None
    assert result.route.pipeline is PipelineKind.QUICK
    assert all(stage.why for stage in result.route.stages)
    assert result.lessons == tuple(LOOKED_BACK["lessons"])


async def delivery_walks_the_whole_way(office: Office) -> None:
    office.configure(BRIEF)
    office.plays(
        classify(taskComplexity="Medium", riskLevel="Medium"),
        session("discovery", notes(), deliver(DISCOVERY)),
        session("shaping", deliver(SHAPING)),
        session(
            "coding",
            write("work.txt", "done"),
            notes(),
            deliver({**CODING, "criteria": [BY_READING]}),
        ),
        reviewer({**CLEAN, "criteria": MET}),
    )
    _, proof = await merged(office, await office.begin(PipelineKind.FEATURE))
    assert proof.matrix is not None
    assert [(row.judged, row.holes) for row in proof.matrix.rows] == [("yes", ())]
    assert proof.route is not None
    assert [stage.spec for stage in proof.route.stages if stage.runs] == [
        *("discovery", "shaping", "coding-task")
    ]


async def delivery_by_label_is_told_what_was_meant(office: Office) -> None:
    """Labels choose the pipeline; what a person says about the intent reaches the coder."""
    office.configure(BRIEF)
    office.plays(
        classify(**UNSURE),
        coder(write("work.txt", "red"), match="tester: red was meant"),
        reviewer(CLEAN),
    )
    pipeline = await office.begin(PipelineKind.AUTO, labels=("chore",))
    text = await asked(office, pipeline, "intent")
    assert "Paint it blue." in text
    await office.client.decide(pipeline, "approved", reason="red was meant")
    result, proof = await merged(office, pipeline)
    assert result.route is not None
    assert (result.route.pipeline, result.route.why) == (PipelineKind.QUICK, "label 'chore'")
    assert proof.interpretation == "Paint it blue."
    assert [(one.gate, one.reason) for one in proof.decisions] == [("intent", "red was meant")]


async def delivery_of_a_fault_is_mended_when_its_cause_is_known(office: Office) -> None:
    office.repository.advance("main", {TESTS: "old: README.md has repository\n"}, "Test")
    office.configure(BRIEF)
    office.add_spec("bug-investigation", DELIVERS.format("investigation"))
    tests = "old: README.md has repository\nempty: work.txt has zero\n"
    evidence = [
        {**BY_READING, "tests": ["empty"]},
        {**BY_READING, "criterion": "AC2", "code": [TESTS], "tests": ["empty"]},
    ]
    office.plays(
        classify(taskType="bug-fix", taskComplexity="Medium"),
        follows("bug-investigation", deliver(INVESTIGATED)),
        session(
            "coding",
            *(write("work.txt", "zero"), write(TESTS, tests)),
            *(notes(), deliver({**CODING, "criteria": evidence})),
        ),
        reviewer({**CLEAN, "criteria": [*MET, {**MET[0], "criterion": "AC2"}]}),
    )
    result, proof = await merged(office, await office.begin(PipelineKind.AUTO))
    assert result.route is not None
    assert result.route.pipeline is PipelineKind.BUGFIX
    assert proof.matrix is not None
    assert [(row.criterion.id, row.tests) for row in proof.matrix.rows] == [
        ("AC1", ("empty",)),
        ("AC2", ("empty",)),
    ]


async def delivery_of_a_fault_with_an_unsure_cause_is_escalated(office: Office) -> None:
    office.configure(BRIEF)
    office.add_spec("bug-investigation", DELIVERS.format("investigation"))
    office.plays(
        classify(taskType="bug-fix", taskComplexity="Medium"),
        follows("bug-investigation", deliver({**INVESTIGATED, "confidence": "low"})),
    )
    pipeline = await office.begin(PipelineKind.BUGFIX)
    result = await unmerged(office, pipeline, PipelineEnding.ESCALATED)
    assert "the confidence in its cause low" in result.why
    assert "The sum begins with the first item." in result.why
    assert "Begin with zero." in result.why
    assert [record.phase for record in result.phases] == ["classify", "investigation"]


async def delivery_of_a_review_is_posted(office: Office) -> None:
    """Its minor finding is settled on a branch of WorkTrain's own; theirs is left as it is."""
    office.configure(
        "verify: [{name: tests, run: run the tests}]\nreview: {post: true, fix: true}\n"
    )
    office.repository.refs["theirs"] = office.repository.refs["main"]
    theirs = office.repository.advance("theirs", {"work.txt": "theirs"}, "Theirs")
    office.plays(reviewer(found("minor"), CLEAN), fixer("settled"))
    labels = ("size-s", "risk-low")
    pipeline = await office.begin(PipelineKind.REVIEW, source="branch:theirs", labels=labels)
    result = await unmerged(office, pipeline, PipelineEnding.COMPLETED)
    assert "clean, 0 findings; posted: refs/notes/worktrain-reviews" in result.why
    posted = office.forge.reviews[theirs.commit]
    assert "F1, fixed, minor: A corner is wrong." in posted
    assert f"What was settled is on the branch {result.branch}." in posted
    assert result.branch is not None
    settled = office.repository.commits[office.repository.refs[result.branch]]
    assert (settled.files["work.txt"], settled.parent) == ("settled", theirs.commit)
    assert office.repository.refs["theirs"] == theirs.commit


# --- people are asked --------------------------------------------------------------------------


async def delivery_is_fixed_and_shown_to_the_same_reviewer(office: Office) -> None:
    office.configure(BRIEF)
    office.plays(*task_of(DONE, reviewer(found("minor"), CLEAN), fixer("fixed")))
    result, proof = await merged(office, await office.begin())
    reviews = [record for record in result.phases if record.phase == Phase.REVIEW]
    # One session with one record: it stayed open, and knows what it said before.
    assert len(reviews) == 1
    assert reviews[0].turns == 5
    assert result.passes == 1
    assert proof.ledger is not None
    assert [entry.standing for entry in proof.ledger.entries] == ["fixed"]


async def delivery_after_three_passes_asks(office: Office) -> None:
    office.configure(BRIEF)
    office.plays(
        *task_of(
            DONE,
            reviewer(
                found("major", "A corner is wrong."),
                found("minor", "The unit is missing."),
                found("nit", "Spelling."),
                found("nit", "An empty line too many."),
            ),
            fixer("fixed once", match=r"The finding \(major\)"),
            fixer("fixed twice", match=r"The finding \(minor\)"),
            fixer("fixed thrice", match=r"The finding \(nit\)"),
        )
    )
    pipeline = await office.begin()
    text = await asked(office, pipeline, "findings")
    assert "after 3 fix passes, and more are not allowed" in text
    assert "F4, open, nit: An empty line too many." in text
    with pytest.raises(Refused, match="reason"):
        await office.client.decide(pipeline, "approved")
    await office.client.decide(pipeline, "approved", reason="nobody reads that")
    result, proof = await merged(office, pipeline)
    assert result.passes == 3
    assert [(one.gate, one.reason) for one in proof.decisions] == [
        ("findings", "nobody reads that")
    ]


async def delivery_whose_intent_is_refused(office: Office) -> None:
    office.configure(RULES)
    office.plays(classify(**UNSURE), look_back())
    pipeline = await office.begin()
    text = await asked(office, pipeline, "intent")
    assert "Which blue?" in text
    await office.client.decide(pipeline, "rejected", reason="red was meant")
    result = await unmerged(office, pipeline, PipelineEnding.REJECTED)
    assert "red was meant" in result.why
    assert [record.phase for record in result.phases] == ["classify", "retrospective"]


async def delivery_whose_question_nobody_answers(office: Office) -> None:
    office.configure(BRIEF + "answer_hours: 0.0001\nintent: always\n")
    office.plays(classify())
    result = await unmerged(office, await office.begin(), PipelineEnding.UNANSWERED)
    assert "intent" in result.why


async def delivery_of_a_rejected_merge_ends(office: Office) -> None:
    office.plays(*small(reviewer(CLEAN)))
    pipeline = await office.begin()
    text = await asked(office, pipeline, "merge")
    assert "asks before every merge" in text
    await office.client.decide(pipeline, "rejected", reason="not now")
    result = await unmerged(office, pipeline, PipelineEnding.REJECTED)
    assert "not now" in result.why


# --- it ends otherwise -------------------------------------------------------------------------


async def delivery_without_budget_ends(office: Office) -> None:
    office.configure(RULES + "budget: {sessions_max: 2}\n")
    office.plays(*small(reviewer(CLEAN)))
    result = await unmerged(office, await office.begin(), PipelineEnding.OUT_OF_BUDGET)
    assert "sessions" in result.why
    assert any("80%" in one.said for one in result.told)


async def delivery_runs_out_of_budget_in_the_middle_of_a_fix(office: Office) -> None:
    """What the fixer had written is kept, and the operator is told where."""
    office.configure(BRIEF + "budget: {cost_usd_max: 1}\n")
    dear: dict[str, Any] = {**write("work.txt", "half"), "usage": {"output": 100_000}}
    office.plays(*task_of(DONE, reviewer(found("minor")), fixer(dear)))
    pipeline = await office.begin()
    result = await unmerged(office, pipeline, PipelineEnding.OUT_OF_BUDGET)
    assert "fix used up what it may use" in result.why
    saved = result.why.rpartition("what was not committed is kept as ")[2]
    kept = office.repository.commits[office.repository.refs[saved]]
    assert kept.files["work.txt"] == "half"
    assert result.branch in office.repository.refs
    assert any("budget.cost_usd_max" in one.said for one in result.told)


async def delivery_whose_coder_fails_twice_is_escalated(office: Office) -> None:
    office.configure(BRIEF)
    lazy = session("coding", {"text": "no"}, {"text": "no"})
    office.plays(*task_of(lazy))
    result = await unmerged(office, await office.begin(), PipelineEnding.ESCALATED)
    assert [record.phase for record in result.phases].count(Phase.CODING) == 2
    assert "worktrain" in result.why
    assert "Traceback" not in result.why


async def delivery_by_a_blind_reviewer_is_escalated(office: Office) -> None:
    office.configure(BRIEF)
    office.plays(*task_of(DONE, session("review", notes(), deliver(CLEAN))))
    result = await unmerged(office, await office.begin(), PipelineEnding.ESCALATED)
    assert "without looking" in result.why


async def delivery_is_killed_while_its_reviewer_is_parked(office: Office) -> None:
    office.plays(*small(reviewer(CLEAN)))
    pipeline = await office.begin()
    await asked(office, pipeline, "merge")
    view = await office.client.view(pipeline)
    assert isinstance(view, PipelineView)
    assert view.parked is not None
    await office.client.kill(pipeline)
    await unmerged(office, pipeline, PipelineEnding.KILLED)


async def delivery_without_a_change_ends(office: Office) -> None:
    office.configure(BRIEF)
    office.plays(*task_of(coder()))
    await unmerged(office, await office.begin(), PipelineEnding.NO_CHANGE)


async def delivery_that_turns_the_base_red_is_taken_back(office: Office) -> None:
    """A revert is opened, and nothing below the same paths is merged without a person."""
    office.repository.advance("main", {TESTS: "works: README.md has repository\n"}, "Test")
    office.configure(BRIEF)
    office.shell.failing = lambda: ("works",) if office.forge.merges else ()
    office.plays(*task_of(DONE, reviewer(CLEAN)))
    result = await office.ended(await office.begin())
    assert result.ending is PipelineEnding.REVERT_OPENED, result.why
    assert result.reverted is not None
    assert result.reverted.branch in result.why
    assert "works" in result.why
    assert "worktrain lift" in result.why
    reverted = office.repository.commits[result.reverted.at.commit]
    assert "work.txt" not in reverted.files
    suspended = await office.client.suspensions()
    assert [one.paths for one in suspended] == [("work.txt",)]
    # Whatever it was is over; the next task at the same place still needs a person.
    office.shell.failing = tuple
    office.plays(*task_of(coder(write("work.txt", "better")), reviewer(CLEAN)))
    pipeline = await office.begin()
    text = await asked(office, pipeline, "merge")
    assert "auto-merge below work.txt is suspended" in text
    await office.client.decide(pipeline, "approved")
    await merged(office, pipeline)
