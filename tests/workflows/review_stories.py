"""Stories of what becomes of findings, and of coders, fixers and reviewers who do not play fair."""

from tests.workflows.deliveries import (
    BRIEF,
    BY_READING,
    DELIVERS,
    MET,
    asked,
    coder,
    disposed,
    fixer,
    found,
    mender,
    merged,
    reviewer,
    task_of,
    unmerged,
    verdict,
)
from tests.workflows.office import CLEAN, Office, deliver, follows, write
from tests.workflows.project import TESTS
from worktrain.contracts.pipeline import PipelineEnding
from worktrain.contracts.route import Phase

DONE = coder(write("work.txt", "done"))
CRITICAL = found("critical", "It loses the money.", findingCategory="correctness")
READY = {
    "kind": "wr.audit_report",
    "audit": "production_readiness",
    "verdict": "ready",
    "confidence": "high",
    "scope": "All of it.",
    "summary": "It holds.",
}


async def delivery_of_something_critical_is_escalated(office: Office) -> None:
    """What stays critical after a fix is looked at by others, and never merged without a person."""
    office.configure(BRIEF)
    office.add_spec("production-readiness-audit", DELIVERS.format("audit_report"))
    office.plays(
        *task_of(
            DONE,
            reviewer(CRITICAL, CLEAN, match="F1, open, critical.*the fixer says"),
            reviewer(CRITICAL, CRITICAL),
            fixer("fixed twice", match="F1, open, critical.*the fixer says"),
            fixer("fixed", dispositions=disposed("fixed_now")),
            follows("production-readiness-audit", deliver(READY)),
        )
    )
    pipeline = await office.begin()
    text = await asked(office, pipeline, "merge")
    assert "it went through escalation: something critical is open after 1 fix pass" in text
    await office.client.decide(pipeline, "approved")
    result, proof = await merged(office, pipeline)
    named = [record.session.rpartition("/")[2] for record in result.phases]
    assert named == [
        *("classify-1", "coding-1", "review-1", "fix-1", "review-2"),
        *("audit-1", "fix-2", "audit-2"),
    ]
    assert proof.escalation is not None
    assert [review.fresh for review in proof.reviews] == [False, False, True, False]
    assert [audit.at.tree for audit in proof.audits][-1] == result.tree
    assert any("escalation" in why for why in proof.demanded)


async def delivery_of_a_false_alarm_is_cleared_by_a_second_reviewer(office: Office) -> None:
    """Cleared, and still merged by a person only."""
    office.configure(BRIEF)
    office.plays(
        *task_of(
            DONE,
            reviewer(CLEAN, match="F1, open, critical.*the fixer says: invalid"),
            reviewer(CRITICAL, CRITICAL),
            fixer("done, and shown to be right", dispositions=disposed("invalid")),
        )
    )
    pipeline = await office.begin()
    text = await asked(office, pipeline, "merge")
    assert "escalation" in text
    await office.client.decide(pipeline, "approved", reason="it is right")
    result, proof = await merged(office, pipeline)
    assert [record.phase for record in result.phases].count(Phase.AUDIT) == 0
    assert proof.ledger is not None
    assert [entry.standing for entry in proof.ledger.entries] == ["invalid"]
    assert proof.escalation is not None
    assert [one.gate for one in proof.decisions] == ["merge"]


async def delivery_whose_fixers_take_tests_out_asks(office: Office) -> None:
    """One deletes the test that is in its way, the next one skips it."""
    office.repository.advance("main", {TESTS: "old: README.md has repository\n"}, "Test")
    office.configure(BRIEF.replace("auto", "auto, passes_max: 2"))
    office.plays(
        *task_of(
            DONE,
            reviewer(found("minor")),
            fixer(write(TESTS, "old: skipped\n"), match="gone or skipped: old"),
            fixer(write(TESTS, ""), dispositions=disposed("fixed_now")),
        )
    )
    pipeline = await office.begin()
    text = await asked(office, pipeline, "checks")
    assert "2 fix passes did not settle this" in text
    assert "gone or skipped: old (skipped)" in text
    await office.client.decide(pipeline, "rejected", reason="not like that")
    result = await unmerged(office, pipeline, PipelineEnding.REJECTED)
    assert "not like that" in result.why
    assert result.branch is not None


async def delivery_whose_fixer_lies_is_not_believed(office: Office) -> None:
    """It says that the finding is fixed; the reviewer says the same thing in other words."""
    office.configure(BRIEF)
    office.plays(
        *task_of(
            DONE,
            reviewer(
                found("minor", "The total of an empty list is wrong."),
                found("minor", "An empty list gives a wrong total."),
            ),
            fixer("no better", dispositions=disposed("fixed_now")),
        )
    )
    pipeline = await office.begin()
    text = await asked(office, pipeline, "findings")
    assert "left no less open" in text
    assert "F1, open, minor: An empty list gives a wrong total." in text
    assert "the fixer says: fixed_now" in text
    await office.client.decide(pipeline, "rejected")
    result = await unmerged(office, pipeline, PipelineEnding.REJECTED)
    assert result.ledger is not None
    # One finding, however it is worded.
    assert [(one.id, one.first_round, one.last_round) for one in result.ledger.entries] == [
        ("F1", 1, 2)
    ]


async def delivery_that_goes_round_in_circles_asks(office: Office) -> None:
    corner = {"severity": "major", "summary": "A corner is wrong.", "file": "work.txt"}
    unit = {"severity": "minor", "summary": "The unit is missing.", "file": "work.txt"}
    office.configure(BRIEF)
    office.plays(
        *task_of(
            DONE,
            reviewer(verdict(corner), verdict(unit), verdict(corner)),
            fixer("done, with a corner", match=r"The finding \(major\)"),
            fixer("done, with a unit", match=r"The finding \(minor\)"),
        )
    )
    pipeline = await office.begin()
    text = await asked(office, pipeline, "findings")
    assert "the fixes go round in circles: F1 was settled and came back" in text
    await office.client.decide(pipeline, "rejected")
    result = await unmerged(office, pipeline, PipelineEnding.REJECTED)
    assert result.ledger is not None
    assert [entry.standing for entry in result.ledger.entries] == ["flapping", "fixed"]
    assert result.passes == 2


async def delivery_with_an_uncovered_criterion_is_waived(office: Office) -> None:
    """The handoffs name a test that nobody has seen; a person lets it pass, with a reason."""
    shown = {**BY_READING, "tests": ["it_works_always"]}
    judged = {**CLEAN, "criteria": MET}
    office.repository.advance("main", {TESTS: "old: README.md has repository\n"}, "Test")
    office.configure(BRIEF)
    office.plays(
        *task_of(
            coder(write("work.txt", "done"), criteria=[shown]),
            reviewer(judged, judged),
            mender(
                write("work.txt", "done again"),
                match="not covered: AC1: it_works_always is said to show it",
                criteria=[shown],
            ),
        )
    )
    pipeline = await office.begin(body="AC1: It works.")
    text = await asked(office, pipeline, "criteria")
    assert "AC1: it_works_always is said to show it and is in no report of the checks" in text
    await office.client.decide(pipeline, "approved", reason="I have seen it work")
    result, proof = await merged(office, pipeline)
    assert result.passes == 1
    assert proof.matrix is not None
    assert [row.waived for row in proof.matrix.rows] == ["tester: I have seen it work"]
    assert "AC1 was waived by tester: I have seen it work" in proof.notices


async def delivery_that_breaks_a_rule_and_puts_work_off_asks(office: Office) -> None:
    """What a fixer leaves of it, only a person can accept."""
    rule = "{name: no-shouting, kind: forbidden_text, forbids: LOUD, why: the neighbours}"
    office.configure(f"{BRIEF}architectureRules: [{rule}]\n")
    office.plays(
        *task_of(
            coder(write("work.txt", "LOUD\nTODO: the rest\n")),
            mender(
                write("work.txt", "LOUD\nthe rest\n"),
                match="no-shouting.*put off: work.txt:2 leaves something to do",
            ),
            reviewer(CLEAN),
        )
    )
    pipeline = await office.begin()
    text = await asked(office, pipeline, "rules")
    assert "work.txt:1 breaks the rule 'no-shouting': LOUD (the neighbours)" in text
    assert "TODO" not in text
    await office.client.decide(pipeline, "approved", reason="they are on holiday")
    result, proof = await merged(office, pipeline)
    assert result.passes == 1
    decision = proof.decisions[0]
    assert decision.reason == "they are on holiday"
    assert decision.about == ("work.txt:1 breaks the rule 'no-shouting': LOUD (the neighbours)",)
