"""What WorkTrain knows itself, as text: every fact is in it, and nothing of another change."""

from typing import Any

import pytest

from tests.coordinators.conftest import (
    JUDGED,
    ONE,
    REPORT,
    F,
    M,
    P,
    artifact,
    check,
    decision,
    examination,
    judged,
    opened,
    pipeline,
    ready,
    ref,
    session,
    verification,
)
from worktrain.contracts.artifact import Disposition, Finding, Severity
from worktrain.contracts.examination import Mark, RuleBreak
from worktrain.contracts.pipeline import End, PipelineEnding
from worktrain.contracts.route import Phase
from worktrain.coordinators import facts, ledger

WRONG = Finding(
    severity=Severity.MAJOR, summary="The sum is wrong.", file="app/login.py", startLine=7
)
VAGUE = Finding(severity=Severity.NIT, summary="The names of both tests are hard to read.")
TODO = Mark(path="app/login.py", line=3, kind="todo", text="# TODO: the rest")
BROKEN = RuleBreak(rule="no-os", path="app/login.py", line=4, text=" import os ", why="use ports")
FAILING = verification(
    check(P, F, base_tests=REPORT, tests=(("t::works", "t::new"), ("t::other",))),
    check(name="lint"),
)


def lacking(**changes: Any) -> str:
    return facts.deficits(ready(**changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"verification": FAILING}, "- check 'tests' fails: t::other"),
        (
            {"examination": examination(breaks=(BROKEN,))},
            "- app/login.py:4 breaks the rule 'no-os': import os (use ports)",
        ),
        ({"examination": examination(marks=(TODO,))}, "- put off: app/login.py:3 leaves"),
        (
            {"reviews": (judged(criteria=[{**JUDGED, "met": "no"}]),)},
            "- not covered: AC1: the reviewer says 'no': Read it.",
        ),
        (
            {"examination": examination("app/login.py", "lib/odd.py")},
            "- changed, though nobody declared it: lib/odd.py; take it back",
        ),
    ],
)
def test_each_deficit_is_told_by_itself(changes: dict[str, Any], says: str) -> None:
    found = lacking(**changes)
    assert found.startswith(says)
    assert "\n" not in found


def test_a_change_that_lacks_nothing_has_no_deficits() -> None:
    assert lacking() == ""


@pytest.mark.parametrize("fact", [facts.deficits, facts.failed_checks])
def test_facts_of_another_change_are_not_told(fact: Any) -> None:
    changes = {"verification": FAILING, "examination": examination(marks=(TODO,))}
    assert fact(ready(**changes))
    assert fact(ready(**changes, candidate=ref("later"))) == ""


def test_holes_are_no_deficits_before_anybody_could_judge() -> None:
    assert lacking(reviews=()) == ""


def test_the_criteria_are_told_by_their_ids() -> None:
    assert facts.criteria(ready()) == "- AC1: It works."
    assert facts.criteria(ready(artifacts=())) == ""


def test_a_bug_has_criteria_without_shaping() -> None:
    found = facts.criteria(ready(artifacts=(artifact("wr.investigation"),))).splitlines()
    assert [line[:6] for line in found] == ["- AC1:", "- AC2:"]
    assert "Login fails for addresses" in found[0]


def test_each_finding_is_told_with_its_place_standing_and_answer() -> None:
    state = ready(reviews=(judged(WRONG, VAGUE),))
    assert facts.findings(state).splitlines() == [
        "- F1, open, major: The sum is wrong. (app/login.py:7)",
        "- F2, open, nit: The names of both tests are hard to read.",
    ]
    said = Disposition(finding="F1", outcome="fixed_now", evidence="app/login.py:7 adds.")
    answered = state.model_copy(update={"ledger": ledger.answered(state.ledger, (said,))})
    assert "\n  the fixer says: fixed_now, app/login.py:7 adds.\n" in facts.findings(answered)
    gone = ready(reviews=(judged(WRONG), judged(at=ref("later"), number=2)))
    assert facts.findings(gone) == "- F1, fixed, major: The sum is wrong. (app/login.py:7)"
    assert facts.findings(ready()) == ""


def test_the_packet_holds_tree_files_checks_and_scope() -> None:
    seen = examination("app/login.py", "lib/odd.py", unread=("data.bin: binary",))
    assert facts.packet(ready(examination=seen, verification=FAILING)).splitlines() == [
        f"- tree {ONE.tree}, commit {ONE.commit}",
        "- modified app/login.py: 2 lines added, 1 removed",
        "- modified lib/odd.py: 2 lines added, 1 removed",
        "- not read by WorkTrain: data.bin: binary",
        "- check 'tests': failed (base: passed), 2 tests passed, 0 of them newly; "
        "1 newly failing, 0 vanished",
        "- check 'lint': passed (base: passed), 0 tests passed, 0 of them newly; "
        "0 newly failing, 0 vanished",
        "- nobody declared: lib/odd.py",
    ]
    assert facts.packet(pipeline()) == ""


def test_a_packet_of_many_files_names_some_and_counts_the_rest() -> None:
    many = examination(*(f"app/{number:03}.py" for number in range(facts.NAMED_MAX + 3)))
    lines = facts.packet(ready(examination=many, artifacts=())).splitlines()
    assert sum(line.startswith("- modified") for line in lines) == facts.NAMED_MAX
    assert "- and 3 more files" in lines


def test_of_failed_checks_the_command_and_the_end_of_its_output_are_told() -> None:
    assert facts.failed_checks(ready(verification=FAILING)) == "$ pytest -q\nthe end of the output"
    two = verification(check(P, F), check(P, M, name="lint"))
    assert facts.failed_checks(ready(verification=two)).count("$ pytest -q") == 2
    assert facts.failed_checks(ready()) == ""


def test_lessons_are_told_one_a_line() -> None:
    state = ready(opened=opened(lessons=("Run it twice.", "Mind the cache.")))
    assert facts.lessons(state) == "- Run it twice.\n- Mind the cache."


def test_the_course_tells_ending_sessions_decisions_and_numbers() -> None:
    state = ready(
        end=End(ending=PipelineEnding.MERGED, why="merged into main"),
        decisions=(decision("merge", reason="Looks right."),),
        cost_microdollars=1_234_567,
    )
    lines = facts.course(state).splitlines()
    assert lines[0] == "- ended merged: merged into main"
    assert "- coding (spec): completed, 3 turns, USD 0.00" in lines
    assert "- ada approved merge: Looks right." in lines
    assert "- cost_usd: 1.2346" in lines


def test_the_numbers_are_counted_from_the_state() -> None:
    failed = session(Phase.FIX, number=2).result.record
    state = ready(
        reviews=(judged(WRONG, VAGUE), judged(at=ref("later"), number=2)),
        decisions=(decision("merge"),),
        passes=2,
        rebases=1,
        retried=("coding",),
        worked_s=90,
        cost_microdollars=2_000_000,
    )
    state = state.model_copy(update={"records": (*state.records, failed)})
    assert facts.numbers(state) == {
        "sessions": 5,
        "turns": 15,
        "passes": 2,
        "rounds": 2,
        "findings": 2,
        "rebases": 1,
        "retried": ["coding"],
        "asked": 1,
        "minutes": 1.5,
        "cost_usd": 2.0,
    }
