"""The trace matrix: what counts for a criterion, every way of a hole, and what a person waives."""

from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.coordinators.conftest import BASE, ONE, F, P, artifact, check, ref, verification
from worktrain.contracts.artifact import (
    AcceptanceCriterion,
    CodingHandoff,
    CriterionJudgement,
    Finding,
    ReviewVerdict,
    Severity,
)
from worktrain.contracts.examination import Examination, FileChange
from worktrain.contracts.ledger import Entry, Ledger, Standing
from worktrain.contracts.proof import CriterionTrace, Decision, Matrix, Review, Verification
from worktrain.contracts.task import Task
from worktrain.contracts.workspace import CommitRef
from worktrain.coordinators.compare import UNNAMED
from worktrain.coordinators.matrix import (
    PARTS_MAX,
    criteria_of,
    holes,
    matrix_of,
    notices,
)

AC1 = AcceptanceCriterion(id="AC1", statement="Capitals are accepted.")
AC2 = AcceptanceCriterion(id="AC2", statement="A wrong address is refused.")
NOTHING_FOUND = Ledger()
TEST = "tests.test_login::test_upper"
EXAMINED = Examination(
    base=BASE.at,
    candidate=ONE,
    changes=(
        FileChange(
            path="app/login.py", status="modified", added=3, removed=1, hunks=((4, 6), (9, 9))
        ),
        FileChange(path="app/logo.png", status="added", added=0, removed=0),
        FileChange(path="app/new.py", status="renamed", added=0, removed=0, was="app/old.py"),
        FileChange(
            path="tests/test_login.py", status="modified", added=5, removed=0, hunks=((1, 5),)
        ),
    ),
)


def checked(
    passed: tuple[str, ...] = (TEST,), failed: tuple[str, ...] = (), at: CommitRef = ONE
) -> Verification:
    return verification(check(P, F if failed else P, at=at, tests=(passed, failed)), at=at)


def handoff(*claims: dict[str, Any]) -> CodingHandoff:
    made = artifact(
        "wr.coding_handoff", criteria=[{"evidence": "It does.", **claim} for claim in claims]
    )
    assert isinstance(made, CodingHandoff)
    return made


def claim(
    criterion: str = "AC1", code: tuple[str, ...] = ("app/login.py",), tests: Any = (TEST,)
) -> dict[str, Any]:
    return {"criterion": criterion, "code": code, "tests": tests}


def judged(met: Literal["yes", "no", "unsure"] | None = "yes", at: CommitRef = ONE) -> Review:
    said = (CriterionJudgement(criterion="AC1", met=met, evidence="Line 4."),) if met else ()
    verdict = ReviewVerdict(verdict="clean", confidence="high", summary="Read it.", criteria=said)
    return Review(session="task/w/t/review-1", at=at, verdict=verdict)


def row(
    *handoffs: CodingHandoff,
    verified: Verification | None = None,
    review: Review | None = None,
    examined: Examination = EXAMINED,
    ledger: Ledger = NOTHING_FOUND,
    decisions: tuple[Decision, ...] = (),
    **parts: Any,
) -> CriterionTrace:
    """The row of AC1, when everything that is not named is in order."""
    made = handoffs or (handoff(claim(**parts)),)
    verified, review = verified or checked(), review or judged()
    matrix = matrix_of((AC1,), made, examined, verified, review, ledger, decisions)
    assert matrix.tree == ONE.tree
    return matrix.rows[0]


def test_a_criterion_with_code_tests_and_judgement_is_covered() -> None:
    found = row()
    assert found.code == ("app/login.py:4-6", "app/login.py:9-9")
    assert (found.tests, found.judged, found.holes, found.waived) == ((TEST,), "yes", (), "")


def test_every_criterion_has_a_row_in_its_order() -> None:
    matrix = matrix_of(
        (AC2, AC1), (handoff(claim()),), EXAMINED, checked(), judged(), NOTHING_FOUND, ()
    )
    assert [one.criterion.id for one in matrix.rows] == ["AC2", "AC1"]
    assert {one.partition(":")[0] for one in holes(matrix)} == {"AC2"}


# --- code --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ("./app/login.py", ("app/login.py:4-6", "app/login.py:9-9")),
        ("app/login.py:4-9", ("app/login.py:4-6", "app/login.py:9-9")),
        ("`app/login.py#L4`", ("app/login.py:4-6", "app/login.py:9-9")),
        ("app/login.py::find", ("app/login.py:4-6", "app/login.py:9-9")),
        ("app/logo.png", ("app/logo.png",)),
        ("app/old.py", ("app/new.py",)),
    ],
)
def test_a_changed_file_counts_however_it_is_written(named: str, code: tuple[str, ...]) -> None:
    found = row(code=(named,))
    assert (found.code, found.holes) == (code, ())


def test_a_file_with_very_many_parts_is_told_with_the_rest_counted() -> None:
    hunks = tuple((line, line) for line in range(1, 31))
    change = EXAMINED.changes[0].model_copy(update={"hunks": hunks})
    examined = EXAMINED.model_copy(update={"changes": (change,)})
    code = row(examined=examined).code
    assert (len(code), code[-1]) == (PARTS_MAX + 1, "app/login.py and 10 more parts")


def test_the_newest_word_on_a_criterion_counts_and_silence_says_nothing() -> None:
    other = handoff(claim(code=("app/logo.png",), tests=()), claim("AC2", ("app/new.py",)))
    found = row(handoff(claim()), other)
    assert found.code == ("app/logo.png",)
    assert found.tests == (TEST,)
    assert row(handoff(claim()), handoff()).holes == ()


# --- holes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"code": ()}, "no handoff says which code meets it"),
        ({"code": ("app/login.py", "app/x.py")}, "app/x.py is said to meet it and was not changed"),
        ({"tests": ("tests.test_login::test_gone",)}, "test_gone is said to show it and is in no"),
        ({"verified": checked((), (TEST,))}, "is said to show it and failed"),
        ({"verified": checked(at=ref("other"))}, "no check ran on this tree that could show"),
        ({"review": judged("no")}, "the reviewer says 'no': Line 4."),
        ({"review": judged("unsure")}, "the reviewer says 'unsure': Line 4."),
        ({"review": judged(None)}, "no reviewer of this tree judged it"),
        ({"review": judged(at=ref("other"))}, "no reviewer of this tree judged it"),
    ],
)
def test_what_is_missing_is_a_hole_and_nothing_else_is(changes: dict[str, Any], said: str) -> None:
    found = row(**changes)
    assert len(found.holes) == 1
    assert said in found.holes[0]


def test_a_skipped_test_shows_nothing() -> None:
    run = checked((), ()).checks[0]
    skipped = run.candidate.model_copy(update={"skipped": (TEST,)})
    verified = checked().model_copy(
        update={"checks": (run.model_copy(update={"candidate": skipped}),)}
    )
    assert row(verified=verified).holes == (f"{TEST} is said to show it and was skipped",)


def test_a_test_that_passes_in_one_check_and_fails_in_another_shows_nothing() -> None:
    both = (*checked().checks, *checked((), (TEST,)).checks)
    assert "failed" in row(verified=verification(*both)).holes[0]


def test_a_criterion_may_be_shown_by_reading_alone() -> None:
    assert row(tests=()).holes == ()
    assert (
        "no test shows it, and no reviewer read that it is met"
        in row(tests=(), review=judged("unsure")).holes
    )


def test_a_handoff_that_is_silent_leaves_everything_open() -> None:
    matrix = matrix_of((AC1,), (), EXAMINED, checked(), None, NOTHING_FOUND, ())
    assert len(holes(matrix)) == 3
    assert all(one.startswith("AC1: ") for one in holes(matrix))


# --- names of tests ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "reported"),
    [
        ("tests/test_login.py::test_upper", TEST),
        ("./tests/test_login.py::test_upper", TEST),
        ("test_login.py::test_upper", TEST),
        ("test_upper", TEST),
        ("tests.test_login.test_upper", TEST),
        ("backend/tests/test_login.py::test_upper", TEST),
        ("tests/test_a.py::TestA::test_x", "tests.test_a.TestA::test_x"),
        ("com.acme.LoginTest#upper", "com.acme.LoginTest::upper"),
        ("LoginTest.upper", "com.acme.LoginTest::upper"),
        ("src/login.test.ts::accepts capitals", "src/login.test.ts::accepts capitals"),
        ("tests/test_a.py::test_x[1.5-a/b]", "tests.test_a::test_x[1.5-a/b]"),
        ("tests/test_a.py::test_x", "tests.test_a::test_x[1.5-a/b]"),
    ],
)
def test_a_test_is_found_under_the_name_of_the_report(named: str, reported: str) -> None:
    found = row(tests=(named,), verified=checked((reported, "tests.test_b::test_other")))
    assert (found.tests, found.holes) == ((reported,), ())


@pytest.mark.parametrize(
    "named",
    [
        "upper",
        "tests/test_other.py::test_upper",
        "test_login.py::test_upper[1]",
        "tests/test_login.py",
        "test_upper_",
        "::",
        ".",
    ],
)
def test_a_test_of_another_name_is_not_found(named: str) -> None:
    assert "is in no report" in row(tests=(named,)).holes[0]


def test_of_a_test_with_cases_every_case_has_to_pass() -> None:
    cases = ("tests.test_login::test_upper[a]", "tests.test_login::test_upper[b]")
    assert row(verified=checked(cases), tests=("test_upper",)).tests == cases
    failed = row(verified=checked(cases[:1], cases[1:]), tests=("test_upper",))
    assert "failed" in failed.holes[0]
    assert row(verified=checked(cases[:1], cases[1:]), tests=("test_upper[a]",)).holes == ()


def test_a_whole_name_is_not_mistaken_for_the_end_of_another() -> None:
    both = ("test_login::test_upper", "old.test_login::test_upper")
    found = row(tests=("test_login.py::test_upper",), verified=checked(both[:1], both[1:]))
    assert (found.tests, found.holes) == (both[:1], ())


@pytest.mark.parametrize(
    "named",
    ["tests/test_login.py::test_upper", "./tests/test_login.py", "test_upper", "LoginTest.upper"],
)
def test_without_a_report_a_test_of_the_change_counts_and_that_is_said(named: str) -> None:
    found = row(tests=(named,), verified=verification(check()))
    assert found.holes == ()
    assert found.tests == (f"{named} (in no report)",)
    (notice,) = notices(Matrix(tree=ONE.tree, rows=(found,)))
    assert notice == (f"AC1: no check reports its tests, so nobody saw by name that {named} passed")


def test_a_runner_that_names_only_what_failed_is_no_report_of_what_passed() -> None:
    counted = (f"{UNNAMED} 1)", f"{UNNAMED} 2)")
    assert row(verified=checked(counted, ("tests.test_b::test_y",))).tests == (
        f"{TEST} (in no report)",
    )
    assert "failed" in row(verified=checked(counted, (TEST,))).holes[0]


def test_without_a_report_a_test_that_was_left_alone_shows_nothing() -> None:
    found = row(tests=("tests/test_old.py::test_x",), verified=verification(check()))
    assert "is not part of the change, and no check reports its tests" in found.holes[0]
    assert found.tests == ()


# --- findings and waivers ------------------------------------------------------------------------


def entry(name: str, file: str | None, standing: Standing = Standing.OPEN) -> Entry:
    finding = Finding(severity=Severity.MINOR, summary="It is wrong.", file=file)
    return Entry(id=name, finding=finding, standing=standing, first_round=1, last_round=1)


def test_open_findings_in_the_code_of_a_criterion_are_named() -> None:
    ledger = Ledger(
        entries=(
            entry("F1", "./app/login.py:5"),
            entry("F2", "app/logo.png"),
            entry("F3", "app/login.py", Standing.FIXED),
            entry("F4", "app/login.py", Standing.FLAPPING),
            entry("F5", None),
        )
    )
    found = row(ledger=ledger)
    assert (found.findings, found.holes) == (("F1", "F4"), ())


def waiver(**changes: Any) -> Decision:
    said = {"gate": "criteria", "answer": "approved", "by": "ada", "reason": "not worth it"}
    return Decision.model_validate({**said, "tree": ONE.tree, "about": ("AC1",), **changes})


def test_what_a_person_waived_is_no_hole_and_is_told() -> None:
    found = row(code=(), decisions=(waiver(),))
    matrix = Matrix(tree=ONE.tree, rows=(found,))
    assert found.waived == "ada: not worth it"
    assert found.holes != ()
    assert holes(matrix) == ()
    assert notices(matrix) == ("AC1 was waived by ada: not worth it",)


@pytest.mark.parametrize(
    "decisions",
    [
        (waiver(tree=ref("other").tree),),
        (waiver(tree=None),),
        (waiver(about=("AC2",)),),
        (waiver(about=()),),
        (waiver(gate="merge"),),
        (waiver(answer="rejected"),),
        (waiver(), waiver(answer="rejected")),
    ],
)
def test_nothing_else_waives_a_hole(decisions: tuple[Decision, ...]) -> None:
    found = row(code=(), decisions=decisions)
    assert found.waived == ""
    assert holes(Matrix(tree=ONE.tree, rows=(found,))) != ()


NAMES = st.sampled_from(
    ["app/login.py", "app/x.py", TEST, "test_upper", "", "a/b.py::c", "[", "::"]
)


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.lists(NAMES, max_size=3), st.lists(NAMES, max_size=3)), max_size=3),
    st.sampled_from(["yes", "no", "unsure", None]),
    st.booleans(),
)
def test_whatever_is_claimed_only_facts_cover_a_criterion(
    claims: list[tuple[list[str], list[str]]], met: Any, reported: bool
) -> None:
    made = [
        handoff(claim(code=tuple(filter(None, code)), tests=tuple(filter(None, tests))))
        for code, tests in claims
    ]
    verified = checked() if reported else verification(check())
    matrix = matrix_of((AC1,), made, EXAMINED, verified, judged(met), NOTHING_FOUND, ())
    (found,) = matrix.rows
    if not holes(matrix):
        assert found.judged == "yes"
        assert any(one.startswith("app/login.py:") for one in found.code)
    if reported:
        assert set(found.tests) <= {TEST}


# --- criteria in the text of a task --------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "AC1: It works.",
        "- AC1: It works.",
        "  * [ ] AC1: It works.",
        "1. [x] **AC1**: It works.",
        "- **AC1:** It works.",
        "+ AC1 :  It   works.  ",
    ],
)
def test_a_criterion_is_read_from_the_text_of_the_task(line: str) -> None:
    task = Task(source="typed", title="T", body=f"Please.\n\n{line}\nThanks.")
    assert criteria_of(task) == (AcceptanceCriterion(id="AC1", statement="It works."),)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "See AC1: it works.",
        "AC0: no\nAC100: no\nAC1:\nACX: no",
        "```\nAC1: an example\n```",
        "- item:\n  ~~~\n  AC1: an example\n  ~~~",
        "<!--\nAC1: say what must be true\n-->",
        "```\nAC1: never closed",
    ],
)
def test_nothing_else_in_a_task_is_a_criterion(body: str) -> None:
    assert criteria_of(Task(source="typed", title="AC1: no", body=body)) == ()


def test_criteria_keep_their_order_the_first_of_an_id_counts_and_long_ones_are_cut() -> None:
    body = f"AC2: two\nAC1: {'x' * 400}\nAC2: again\n```\nAC4: no\n```\nAC3: three\n"
    found = criteria_of(Task(source="typed", title="T", body=body))
    assert [one.id for one in found] == ["AC2", "AC1", "AC3"]
    assert found[0].statement == "two"
    assert found[1].statement == "x" * 299 + "…"
