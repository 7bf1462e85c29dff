"""The merge policy: every reason not to merge, and what lifts those that a person may lift."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.coordinators.conftest import (
    BASE,
    CHECK,
    JUDGED,
    ONE,
    REPORT,
    F,
    P,
    artifact,
    check,
    decision,
    examination,
    judged,
    opened,
    ready,
    ref,
    session,
    verification,
    way,
)
from worktrain.contracts.artifact import Finding, Severity
from worktrain.contracts.delivery import Foreign, Surroundings
from worktrain.contracts.examination import FileChange, Mark, RuleBreak
from worktrain.contracts.pipeline import PipelineState
from worktrain.contracts.proof import Audit, Decision, Escalation, Verification
from worktrain.contracts.route import Phase
from worktrain.contracts.task import Task
from worktrain.contracts.workspace import VerifyCommand
from worktrain.coordinators.candidate import (
    approved,
    broken_rules,
    outside,
    put_off,
    review_of,
    verification_of,
)
from worktrain.coordinators.merge_policy import POLICY, Refusal, human_reasons, refusals

OTHER = ref("other")
PERFORMANCE = "performance-audit"
TODO = Mark(path="app/login.py", line=3, kind="todo", text="# TODO: the rest")
SKIP = Mark(path="app/login.py", line=4, kind="skip", text="@skip")
BROKEN = RuleBreak(rule="no-os", path="app/login.py", line=3, text="import os", why="")
BROKEN_TOO = RuleBreak(rule="no-sys", path="app/login.py", line=4, text="import sys", why="")
WRONG = Finding(severity=Severity.MINOR, summary="The sum is wrong.")
EDITED = Task(source="typed", title="Something else")
FOREIGN = Foreign(head=OTHER, by=("Ada <ada@example.invalid>",))
UNMET = {**JUDGED, "met": "no"}
TWO_CRITERIA = artifact(
    "wr.shaping_handoff",
    acceptanceCriteria=[
        {"id": "AC1", "statement": "It works."},
        {"id": "AC2", "statement": "It still works."},
    ],
    filesInScope=["app/login.py"],
    slices=[],
)


def around(**changes: Any) -> Surroundings:
    return Surroundings(base=changes.pop("base", BASE.at), **changes)


def audit(verdict: str, at: Any = ONE) -> dict[str, Any]:
    """An audit that the class demands, and what it said."""
    record = session(Phase.AUDIT).result.record.model_copy(update={"spec": PERFORMANCE})
    report = artifact("wr.audit_report", verdict=verdict, findings=[])
    return {
        "route": way(("audit", PERFORMANCE)),
        "records": (*ready().records, record),
        "audits": (Audit(session=record.session, at=at, report=report),),
    }


class Case(NamedTuple):
    """A change of what is in order, and what else it brings about by necessity."""

    changes: dict[str, Any]
    along: frozenset[Refusal] = frozenset()


WITHOUT_FACTS = frozenset({Refusal.UNCOVERED})
"""Without them nobody can say which criterion is covered."""
LACKS: dict[Refusal, Case] = {
    Refusal.NO_CANDIDATE: Case(
        {"candidate": None},
        WITHOUT_FACTS
        | {
            Refusal.NOT_EXAMINED,
            Refusal.NOT_VERIFIED,
            Refusal.NOT_REVIEWED,
            Refusal.NOT_SEALED,
        },
    ),
    Refusal.NOT_EXAMINED: Case({"examination": None}, WITHOUT_FACTS),
    Refusal.NOT_VERIFIED: Case({"verification": None}, WITHOUT_FACTS),
    Refusal.CHECKS_FAILED: Case(
        {"verification": verification(check(P, F, tests=(("t::works",), ("t::other",))))}
    ),
    Refusal.RULES_BROKEN: Case({"examination": examination(breaks=(BROKEN, BROKEN_TOO))}),
    Refusal.NOT_REVIEWED: Case({"reviews": ()}, WITHOUT_FACTS),
    Refusal.FINDINGS: Case({"reviews": (judged(WRONG),)}),
    Refusal.UNCOVERED: Case(
        {"artifacts": (*ready().artifacts, TWO_CRITERIA), "reviews": (judged(criteria=[UNMET]),)}
    ),
    Refusal.PUT_OFF: Case({"examination": examination(marks=(TODO, SKIP))}),
    Refusal.OUT_OF_SCOPE: Case(
        {"examination": examination("app/login.py", "lib/odd.py", "lib/other.py")}
    ),
    Refusal.NOT_SECONDED: Case({"route": way(("second_review", ""))}),
    Refusal.NOT_AUDITED: Case({"route": way(("audit", PERFORMANCE))}),
    Refusal.AUDIT_BLOCKS: Case(audit("not_ready")),
    Refusal.NOT_LOOKED: Case({"looked": None}),
    Refusal.BASE_MOVED: Case({"looked": around(base=OTHER)}),
    Refusal.FOREIGN: Case({"looked": around(foreign=FOREIGN)}),
    Refusal.TASK_EDITED: Case({"looked": around(task=EDITED)}),
    Refusal.NOT_APPROVED: Case({"opened": opened(policy="ask")}),
    Refusal.NOT_SEALED: Case({"sealed": ""}),
    Refusal.NO_TURN: Case({"in_lane": False}),
}


def test_what_is_in_order_is_not_refused() -> None:
    assert refusals(ready()) == ()
    assert human_reasons(ready()) == ()


def test_every_refusal_has_its_rule_and_its_case() -> None:
    assert set(POLICY) == set(LACKS) == set(Refusal)


@pytest.mark.parametrize("refusal", Refusal)
def test_what_is_lacking_is_refused_by_its_name(refusal: Refusal) -> None:
    changes, along = LACKS[refusal]
    assert set(refusals(ready(**changes))) == {refusal, *along}


MORE: dict[str, tuple[dict[str, Any], set[Refusal]]] = {
    "examined as another commit": (
        {"examination": examination(at=OTHER)},
        {Refusal.NOT_EXAMINED, *WITHOUT_FACTS},
    ),
    "examined and verified on an older base": (
        {"base": BASE.model_copy(update={"at": OTHER}), "looked": around(base=OTHER)},
        {Refusal.NOT_EXAMINED, Refusal.NOT_VERIFIED, *WITHOUT_FACTS},
    ),
    "another commit of the same tree": (
        {"candidate": ref("again", "one")},
        {Refusal.NOT_EXAMINED, Refusal.NOT_VERIFIED, Refusal.NOT_SEALED, *WITHOUT_FACTS},
    ),
    "a check is absent": (
        {"verification": verification()},
        {Refusal.NOT_VERIFIED, *WITHOUT_FACTS},
    ),
    "a check ran elsewhere": (
        {"verification": verification(check(at=OTHER))},
        {Refusal.NOT_VERIFIED, *WITHOUT_FACTS},
    ),
    "a check ran on another base": (
        {"verification": verification(check(base_at=OTHER))},
        {Refusal.NOT_VERIFIED, *WITHOUT_FACTS},
    ),
    "a test disappeared": (
        {"verification": verification(check(base_tests=(("t::works", "t::b"), ()), tests=REPORT))},
        {Refusal.CHECKS_FAILED},
    ),
    "a verdict on another tree": (
        {"reviews": (judged(at=OTHER),)},
        {Refusal.NOT_REVIEWED, *WITHOUT_FACTS},
    ),
    "findings that came later on the same tree": (
        {"reviews": (judged(), judged(WRONG, number=2))},
        {Refusal.FINDINGS},
    ),
    "a clean verdict that leaves an older finding open": (
        {"ledger": ready(reviews=(judged(WRONG),)).ledger},
        {Refusal.FINDINGS},
    ),
    "an audit of another tree": (audit("ready", OTHER), {Refusal.NOT_AUDITED}),
    "an audit that findings gave reason for": (
        {"escalation_audits": (PERFORMANCE,)},
        {Refusal.NOT_AUDITED},
    ),
    "a proof of another commit": ({"sealed_for": OTHER.commit}, {Refusal.NOT_SEALED}),
    "an edit that another one was decided on": (
        {"looked": around(task=EDITED), "edits": (Task(source="typed", title="A third"),)},
        {Refusal.TASK_EDITED},
    ),
    "commits of other hands beyond those let in": (
        {"looked": around(foreign=FOREIGN), "taken_in": ONE.commit},
        {Refusal.FOREIGN},
    ),
    "nothing that could have failed": (
        {"opened": opened(verify=()), "verification": verification()},
        {Refusal.NOT_APPROVED},
    ),
}


@pytest.mark.parametrize("name", MORE)
def test_what_is_about_something_else_does_not_count(name: str) -> None:
    changes, wanted = MORE[name]
    assert set(refusals(ready(**changes))) == wanted


FINE: dict[str, dict[str, Any]] = {
    "a second reviewer has looked": {
        "route": way(("second_review", "")),
        "reviews": (judged(), judged(number=2).model_copy(update={"fresh": True})),
    },
    "an audit with conditions": audit("ready_with_conditions"),
    "an audit that says it is ready": audit("ready"),
    "commits of other hands that were let in": {
        "looked": around(foreign=FOREIGN),
        "taken_in": OTHER.commit,
    },
    "an edit that was decided on": {"looked": around(task=EDITED), "edits": (EDITED,)},
    "a file that the reviewer accepts": {
        "examination": examination("app/login.py", "lib/odd.py"),
        "reviews": (judged(acceptedFiles=["lib/odd.py"]),),
    },
    "what is put off is a filed issue": {
        "examination": examination(marks=(TODO.model_copy(update={"text": "# TODO: #12"}),)),
    },
    "findings of an older tree that are gone": {
        "reviews": (judged(WRONG, at=OTHER), judged(number=2)),
    },
}


@pytest.mark.parametrize("name", FINE)
def test_what_is_settled_is_not_refused(name: str) -> None:
    assert refusals(ready(**FINE[name])) == ()


# --- what a person may lift -------------------------------------------------------------------

About = Callable[[PipelineState], tuple[str, ...]]


def nothing(_: PipelineState) -> tuple[str, ...]:
    return ()


LIFTS: dict[Refusal, tuple[str, About]] = {
    Refusal.RULES_BROKEN: ("rules", broken_rules),
    Refusal.FINDINGS: ("findings", nothing),
    Refusal.UNCOVERED: ("criteria", lambda _: ("AC1", "AC2")),
    Refusal.PUT_OFF: ("put-off", put_off),
    Refusal.OUT_OF_SCOPE: ("scope", outside),
    Refusal.AUDIT_BLOCKS: ("audit", nothing),
    Refusal.NOT_APPROVED: ("merge", nothing),
}
"""The gate that lifts a refusal, and what exactly its approval is about."""
BY_NAME = [refusal for refusal, (_, about) in LIFTS.items() if about is not nothing]


def lifted(refusal: Refusal, **changes: Any) -> tuple[Refusal, ...]:
    """What is still refused after a decision at the gate of a refusal."""
    state = ready(**LACKS[refusal].changes)
    gate, about = LIFTS[refusal]
    made = decision(gate, reason="So be it.").model_copy(update={"about": about(state), **changes})
    return refusals(state.model_copy(update={"decisions": (made,)}))


@pytest.mark.parametrize("refusal", LIFTS)
def test_an_approval_of_exactly_this_lifts_it(refusal: Refusal) -> None:
    assert lifted(refusal) == ()


@pytest.mark.parametrize("tree", [OTHER.tree, None])
@pytest.mark.parametrize("refusal", LIFTS)
def test_an_approval_for_another_tree_lifts_nothing(refusal: Refusal, tree: str | None) -> None:
    assert lifted(refusal, tree=tree) == (refusal,)


@pytest.mark.parametrize("refusal", LIFTS)
def test_a_rejection_lifts_nothing(refusal: Refusal) -> None:
    assert lifted(refusal, answer="rejected") == (refusal,)


@pytest.mark.parametrize("refusal", BY_NAME)
def test_an_approval_of_fewer_names_lifts_nothing(refusal: Refusal) -> None:
    names = LIFTS[refusal][1](ready(**LACKS[refusal].changes))
    assert len(names) == 2
    assert lifted(refusal, about=names[:1]) == (refusal,)
    assert lifted(refusal, about=()) == (refusal,)
    assert lifted(refusal, about=(*names, "more")) == ()


@pytest.mark.parametrize("refusal", Refusal)
def test_no_approval_of_other_gates_lifts_anything(refusal: Refusal) -> None:
    changes, along = LACKS[refusal]
    state = ready(**changes)
    mine = LIFTS[refusal][0] if refusal in LIFTS else None
    others: tuple[Decision, ...] = tuple(
        decision(gate).model_copy(update={"about": about(state)})
        for gate, about in LIFTS.values()
        if gate != mine
    )
    found = refusals(state.model_copy(update={"decisions": others}))
    # Criteria that nobody judged are known and can be waived; the verdict itself cannot.
    waived = along if refusal is Refusal.NOT_REVIEWED else frozenset()
    assert set(found) == {refusal, *along} - waived


def test_an_approval_counts_for_the_tree_under_another_commit() -> None:
    again = ready(decisions=(decision("merge"),), candidate=ref("again", "one"))
    assert approved(again, "merge")


def test_the_newest_verdict_on_the_tree_counts() -> None:
    found = review_of(ready(reviews=(judged(WRONG), judged(number=2), judged(WRONG, at=OTHER))))
    assert found is not None
    assert found.verdict.verdict == "clean"


def test_checks_beyond_those_configured_do_no_harm_and_missing_ones_do() -> None:
    two: tuple[VerifyCommand, ...] = (CHECK, VerifyCommand(name="lint", run="ruff"))
    ran: Verification = verification(check(), check(name="lint"))
    assert verification_of(ready(verification=ran)) == ran
    assert verification_of(ready(opened=opened(verify=two), verification=ran)) == ran
    assert verification_of(ready(opened=opened(verify=two))) is None


# --- who has to agree ---------------------------------------------------------------------------

MOVED = FileChange(path="lib/a.py", was="app/a.py", status="renamed", added=0, removed=0)
ASKS: dict[str, tuple[dict[str, Any], str]] = {
    "the policy": ({"opened": opened(policy="ask")}, "the workspace asks before every merge"),
    "no checks": (
        {"opened": opened(verify=()), "verification": verification()},
        "no verify commands are configured",
    ),
    "escalation": (
        {"escalation": Escalation(why="it survived its fix", since_tree=OTHER.tree)},
        "it went through escalation: it survived its fix",
    ),
    "its class": ({"route": way(("human", ""))}, "its class asks: human"),
    "a dependency": (
        {"examination": examination(sensitive=("it adds the dependency leftpad",))},
        "it adds the dependency leftpad",
    ),
    "a path that a person must see": (
        {"examination": examination(".github/workflows/ci.yml")},
        "it changes CI or infrastructure",
    ),
    "a suspended path": (
        {"looked": around(suspended=("app", "docs"))},
        "auto-merge below app is suspended",
    ),
    "a file moved away from a suspended path": (
        {
            "examination": examination().model_copy(update={"changes": (MOVED,)}),
            "looked": around(suspended=("app",)),
        },
        "auto-merge below app is suspended",
    ),
    "no criteria, although they are demanded": (
        {"route": way(("criteria", "")), "artifacts": ()},
        "its class demands acceptance criteria, and there are none",
    ),
}


@pytest.mark.parametrize("name", ASKS)
def test_each_reason_to_ask_a_person_stands_alone(name: str) -> None:
    changes, said = ASKS[name]
    (reason,) = human_reasons(ready(**changes))
    assert reason.startswith(said)


@pytest.mark.parametrize(
    "changes",
    [
        {"looked": around(suspended=("docs",))},
        {"route": way(("criteria", ""))},
        {"route": way(("verification", ""))},
        {"looked": None},
    ],
)
def test_what_concerns_nobody_asks_nobody(changes: dict[str, Any]) -> None:
    assert human_reasons(ready(**changes)) == ()


def test_every_reason_is_told_and_none_twice() -> None:
    state = ready(
        opened=opened(policy="ask"),
        escalation=Escalation(why="it survived its fix", since_tree=ONE.tree),
        route=way(("human", ""), ("human", "")),
    )
    assert len(human_reasons(state)) == 3


def test_a_change_that_went_through_escalation_waits_for_a_person_on_every_later_tree() -> None:
    escalated = Escalation(why="it survived its fix", since_tree=OTHER.tree)
    for policy in ("auto", "ask"):
        state = ready(escalation=escalated, opened=opened(policy=policy))
        assert refusals(state) == (Refusal.NOT_APPROVED,)
        older = state.model_copy(update={"decisions": (decision("merge", tree=OTHER.tree),)})
        assert refusals(older) == (Refusal.NOT_APPROVED,)
