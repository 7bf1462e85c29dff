"""The proof record: one text for one record, and every way of breaking it named.

`python -m tests.coordinators.test_prove` writes the published schema anew.
"""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.coordinators.conftest import (
    BASE,
    ONE,
    F,
    P,
    artifact,
    check,
    decision,
    pipeline,
    ref,
    review,
    session,
    verification,
)
from worktrain.access import genuine
from worktrain.adapters.signing.in_memory import InMemorySigner
from worktrain.contracts.artifact import (
    AcceptanceCriterion,
    Artifact,
    AuditReport,
    Finding,
    ReviewVerdict,
    Severity,
    ShapingHandoff,
)
from worktrain.contracts.base import digest
from worktrain.contracts.examination import Examination, FileChange, Mark, RuleBreak
from worktrain.contracts.ledger import Entry, Ledger, Round, Standing
from worktrain.contracts.pipeline import Opened, PipelineRequest, PipelineState
from worktrain.contracts.proof import (
    Audit,
    CheckComparison,
    CheckRun,
    Decision,
    Escalation,
    PhaseRecord,
    Proof,
    Review,
    Verification,
)
from worktrain.contracts.record import Seen
from worktrain.contracts.route import Demand, Phase, PipelineKind, Route
from worktrain.contracts.session import SessionClosed
from worktrain.contracts.task import Task
from worktrain.contracts.turn import Usage
from worktrain.contracts.workspace import Base, CommitRef, WorkspaceConfig
from worktrain.coordinators.prove import (
    Note,
    Signature,
    canonical,
    proof_of,
    signed_text,
)
from worktrain.coordinators.prove.differences import differences
from worktrain.coordinators.prove.links import broken_links
from worktrain.coordinators.prove.links import links as links_of

SCHEMA = Path(__file__).parents[2] / "docs/reference/proof.schema.json"
GOLDEN = "d3066ffa87d7cb8e379765ccbd4274a29878a5231c4ca7572e723ba2df2fc1fc"
TESTS = (("a::ok", "b::ok"), ("c::known",))


CRITERIA = tuple(AcceptanceCriterion(id=f"AC{n}", statement=f"It is so, {n}.") for n in (1, 2))
SHAPED = artifact(
    "wr.shaping_handoff", acceptanceCriteria=[one.model_dump() for one in CRITERIA], slices=[]
)


def merged(**changes: Any) -> PipelineState:
    facts = {
        "artifacts": (SHAPED,),
        "records": (session(Phase.CODING).result.record,),
        "candidate": ONE,
        "merged": ONE,
        "reviews": (review("minor", ref("older")), review("clean")),
        "verification": verification(check(F, F, base_tests=TESTS, tests=TESTS)),
        "decisions": (decision("merge", reason='Grüße → 你好\n\u2028 \x00 "\\'),),
        "cost_microdollars": 123_456,
    }
    return pipeline(**{**facts, **changes})


def proof(**changes: Any) -> Proof:
    return proof_of(merged()).model_copy(update=changes)


NOTE = canonical(proof())


def test_a_proof_that_holds_has_no_broken_links() -> None:
    assert broken_links(NOTE, ONE, None) == ()
    assert broken_links(NOTE, ONE, NOTE) == ()


def test_a_proof_shows_everything_that_its_merge_rests_on() -> None:
    made = proof()
    assert (made.base, made.merged, made.base_branch) == (BASE.at, ONE, "main")
    assert [one.id for one in made.criteria] == ["AC1", "AC2"]
    assert [one.session for one in made.phases] == ["task/w/t/coding-1"]
    assert len(made.reviews) == 2
    assert [one.by for one in made.decisions] == ["ada"]
    assert made.notices == ("check 'tests': failed before this task and still fails: c::known",)


@pytest.mark.parametrize("absent", ["candidate", "verification"])
def test_there_is_no_proof_of_what_was_not_verified(absent: str) -> None:
    with pytest.raises(ValueError, match="needs a candidate and its verification"):
        proof_of(merged(**{absent: None}))


def test_the_text_is_one_for_one_record_and_readable() -> None:
    read = json.loads(NOTE)
    assert Proof.model_validate(read["proof"]) == proof()
    assert canonical(Proof.model_validate(read["proof"])) == NOTE
    assert json.dumps(read, indent=1, sort_keys=True, ensure_ascii=False) + "\n" == NOTE
    assert "Grüße → 你好" in NOTE


@given(st.text(st.characters(exclude_categories=["Cs"])), st.floats(0, 1e9), st.integers(0))
def test_every_record_comes_back_from_its_text(text: str, seconds: float, cost: int) -> None:
    made = proof(task=Task(source="typed", title=text, body=text), cost_microdollars=cost)
    pair = made.verification.checks[0]
    slow = pair.candidate.model_copy(update={"seconds": seconds, "tail": text})
    checks = (pair.model_copy(update={"candidate": slow}),)
    made = made.model_copy(
        update={"verification": made.verification.model_copy(update={"checks": checks})}
    )
    note = canonical(made)
    assert Proof.model_validate(json.loads(note)["proof"]) == made
    assert broken_links(note, ONE, note) == ()


# --- a changed byte ----------------------------------------------------------------------------


@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80])
def test_no_single_byte_can_be_changed(flip: int) -> None:
    whole = NOTE.encode()
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= flip
        # However a reader takes bytes that are no text any more.
        for note in {bytes(changed).decode("utf-8", one) for one in ("replace", "surrogateescape")}:
            assert broken_links(note, ONE, None), (position, note[max(0, position - 20) :][:40])


def test_no_byte_can_be_taken_away_or_added() -> None:
    for position in range(len(NOTE)):
        before, after = NOTE[:position], NOTE[position:]
        assert broken_links(before + after[1:], ONE, None), position
        assert broken_links(before + " \n0,"[position % 4] + after, ONE, None), position
    for more in (" ", "\n", "\x00", "{}"):
        assert broken_links(NOTE + more, ONE, None)


@given(st.integers(0, len(NOTE) - 1), st.characters())
def test_no_character_can_be_replaced(position: int, put: str) -> None:
    if NOTE[position] != put:
        assert broken_links(NOTE[:position] + put + NOTE[position + 1 :], ONE, None)


@pytest.mark.parametrize(
    "note",
    [
        "",
        "x",
        "null",
        "[]",
        "{}",
        '{"proof": {}}',
        '{"proof": null}',
        "[" * 200_000,
        '{"proof":' * 50_000,
        NOTE.replace("Login fails", "\\ud800"),
        "9" * 10_000,
    ],
)
def test_what_is_no_record_is_told_as_such(note: str) -> None:
    assert broken_links(note, ONE, None) == ("the note is not a WorkTrain proof record",)


# --- a record that was made anew, with a checksum that fits --------------------------------------


def links(made: Proof) -> tuple[str, ...]:
    return broken_links(canonical(made), ONE, None)


OTHER = ref("other")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"merged": OTHER}, "the note speaks of commit"),
        ({"merged": ref("other", "one")}, "the note speaks of commit"),
        ({"merged": ref("one", "other")}, "the note speaks of commit"),
        ({"reviews": ()}, "no verdict in the record is about the merged tree"),
        ({"reviews": (review("clean", OTHER),)}, "no verdict in the record"),
        ({"reviews": (review("blocking"),)}, "the verdict on the merged tree is 'blocking'"),
        ({"reviews": (review("clean"), review("minor"))}, "the verdict on the merged tree is"),
        ({"verification": verification(check(), at=OTHER)}, "ran on another commit"),
        ({"verification": verification(check(), base_at=OTHER)}, "ran on another commit"),
        ({"verification": verification(check(at=OTHER))}, "check 'tests' ran on another commit"),
        ({"verification": verification(check(base_at=OTHER))}, "check 'tests' ran on another"),
        ({"verification": verification(check(P, F))}, "check 'tests' fails"),
        (
            {"verification": verification(), "decisions": ()},
            "no check ran on the merged tree, and nobody approved its merge",
        ),
        ({"base": OTHER}, "the checks in the record ran on another commit"),
    ],
)
def test_what_does_not_fit_together_is_named(changes: dict[str, Any], says: str) -> None:
    assert any(says in one for one in links(proof(**changes)))


def test_findings_that_a_person_accepted_are_no_broken_link() -> None:
    reviews = (review("minor"),)
    for_another = (decision("findings", tree=OTHER.tree),)
    assert links(proof(reviews=reviews, decisions=(decision("findings"),))) == ()
    assert links(proof(reviews=reviews, decisions=for_another)) != ()


def test_a_merge_without_checks_that_a_person_approved_is_no_broken_link() -> None:
    assert links(proof(verification=verification(), decisions=(decision("merge"),))) == ()


def test_a_note_made_anew_differs_from_the_record_in_the_store() -> None:
    forged = canonical(proof(cost_microdollars=1))
    assert links(proof(cost_microdollars=1)) == ()
    assert broken_links(forged, ONE, NOTE) == (
        "the note differs from the record in this machine's store",
    )


def test_a_key_that_a_record_does_not_have_breaks_it() -> None:
    record = json.loads(NOTE)
    record["proof"]["more"] = 1
    text = json.dumps(record["proof"], indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    record["sha256"] = digest(text)
    note = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    assert broken_links(note, ONE, None) == (
        "the note was altered: it is not what its own checksum was made of",
    )


# --- a record of format 2 ------------------------------------------------------------------------

TEST = "tests.test_a::test_x"
AUDIT = "production-readiness-audit"
EXAMINED = Examination(
    base=BASE.at,
    candidate=ONE,
    changes=(FileChange(path="app/a.py", status="modified", added=1, removed=1, hunks=((3, 4),)),),
    unread=("app/big.bin: too large",),
)
CODED = artifact(
    "wr.coding_handoff",
    criteria=[
        {"criterion": name, "evidence": "It does.", "code": ["app/a.py"], "tests": [TEST]}
        for name in ("AC1", "AC2")
    ],
)
CLEAN = artifact(
    "wr.review_verdict",
    verdict="clean",
    findings=[],
    criteria=[{"criterion": name, "met": "yes", "evidence": "Line 3."} for name in ("AC1", "AC2")],
)
READY = AuditReport(
    audit="production_readiness",
    verdict="ready_with_conditions",
    confidence="high",
    scope="All of it.",
    summary="It may go.",
)
GRAVE = Finding(severity=Severity.MAJOR, summary="It is wrong.")
BLOCKING = artifact("wr.review_verdict", verdict="blocking", findings=[GRAVE.model_dump()])
REVIEW = Review(session="task/w/t/review-1", at=ONE, verdict=CLEAN)


def record(phase: Phase, spec: str = "spec", number: int = 1, **changes: Any) -> PhaseRecord:
    made = session(phase, number=number).result.record
    return made.model_copy(update={"spec": spec, "looks": 7, **changes})


DID: tuple[tuple[PhaseRecord, Artifact], ...] = (
    (record(Phase.SHAPING), SHAPED),
    (record(Phase.CODING), CODED),
    (record(Phase.REVIEW), CLEAN),
    (record(Phase.AUDIT, AUDIT), READY),
)
ROUTE = Route(
    pipeline=PipelineKind.FEATURE,
    why="The label says so.",
    stages=(),
    demands=(Demand(gate="audit", detail=AUDIT, why="Its risk is high."),),
)


def delivered(**changes: Any) -> PipelineState:
    """A pipeline of edition 2 that has all that its merge needs."""
    facts: dict[str, Any] = {
        "artifacts": tuple(said for _, said in DID),
        "records": tuple(one for one, _ in DID),
        "reviews": (REVIEW,),
        "verification": verification(check(tests=((TEST,), ()))),
        "decisions": (decision("merge"),),
        "route": ROUTE,
        "examination": EXAMINED,
        "ledger": Ledger(rounds=(Round(number=1, session=REVIEW.session, tree=ONE.tree),)),
        "audits": (Audit(session="task/w/t/audit-1", at=ONE, report=READY),),
        "escalation": Escalation(why="A critical finding.", since_tree=ref("older").tree),
    }
    state = merged(**{**facts, **changes})
    return state.model_copy(update={"request": state.request.model_copy(update={"edition": 2})})


def second(**changes: Any) -> Proof:
    return proof_of(delivered(), demanded=("policy",)).model_copy(update=changes)


def signed(made: Proof, signer: InMemorySigner | None = None) -> str:
    by = asyncio.run((signer or InMemorySigner()).sign(signed_text(made)))
    return canonical(made, Signature(key=by.key, value=by.value))


def breaks(made: Proof) -> tuple[str, ...]:
    return broken_links(signed(made), ONE, None, genuine=genuine)


def golden() -> PipelineState:
    """A pipeline of edition 1, all of whose values stand here."""
    before, after = (CommitRef(commit=c * 40, tree=t * 40) for c, t in ("ab", "cd"))
    base = Base(branch="main", at=before)
    shaped = ShapingHandoff(
        selectedShape="s",
        appetite="a",
        acceptanceCriteria=(AcceptanceCriterion(id="AC1", statement="é"),),
    )
    minor = Finding(severity=Severity.MINOR, summary="f")
    said = ReviewVerdict(verdict="minor", confidence="high", summary="S", findings=(minor,))
    sides = {
        side: CheckRun(
            name="t",
            command="pytest",
            at=at,
            ending=P,
            exit_code=0,
            seconds=1.5,
            passed=("a::b",),
            failed=(),
        )
        for side, at in (("base", before), ("candidate", after))
    }
    pair = CheckComparison(name="t", **sides)
    coded = PhaseRecord(
        phase="coding",
        session="task/w/t/coding-1",
        spec="s",
        script="x",
        ending="completed",
        turns=1,
        usage=Usage(input=1),
        cost_microdollars=2,
        model="m",
    )
    return PipelineState(
        request=PipelineRequest(
            pipeline="task/w/t",
            workspace="w",
            repo="/r",
            task=Task(source="typed", title="T", body="B"),
            kind=PipelineKind.FEATURE,
        ),
        opened=Opened(base=base, config=WorkspaceConfig()),
        phase=Phase.REVIEW,
        base=base,
        candidate=after,
        artifacts=(shaped,),
        records=(coded,),
        reviews=(Review(session="task/w/t/review-1", at=after, verdict=said),),
        verification=Verification(base=before, candidate=after, checks=(pair,)),
        decisions=(Decision(gate="merge", answer="approved", by="ada", tree=after.tree),),
        usage=Usage(input=1),
        cost_microdollars=2,
    )


def test_a_record_of_edition_1_differs_in_no_byte_from_those_that_are_out_there() -> None:
    assert digest(canonical(proof_of(golden()))) == GOLDEN


def test_a_record_of_edition_2_shows_all_that_led_to_the_merge() -> None:
    made = second()
    assert made.format == "worktrain-proof-2"
    assert made.fingerprint == made.task.fingerprint
    assert (made.route, made.examination, made.demanded) == (ROUTE, EXAMINED, ("policy",))
    assert made.matrix is not None
    assert [(row.criterion.id, row.code, row.tests, row.judged) for row in made.matrix.rows] == [
        (name, ("app/a.py:3-4",), (TEST,), "yes") for name in ("AC1", "AC2")
    ]
    assert "not looked at: app/big.bin: too large" in made.notices
    assert len(made.audits) == len(made.phases) - 3 == 1
    assert made.escalation is not None


def test_an_edit_of_the_task_that_was_decided_on_is_not_hidden() -> None:
    made = proof_of(delivered(edits=(Task(source="typed", title="Another"),)))
    assert any("edited after it had been accepted" in one for one in made.notices)


def test_a_signed_record_of_format_2_that_holds_has_no_broken_links() -> None:
    assert breaks(second()) == ()
    assert "approved the merge" in str(links_of(signed(second()), ONE, None, genuine=genuine))
    note = signed(second())
    assert broken_links(note, ONE, note, asyncio.run(InMemorySigner().sign("")).key, genuine) == ()


def test_the_text_of_a_signed_record_is_one_for_one_record() -> None:
    note = signed(second())
    read = Note.model_validate(json.loads(note))
    assert canonical(read.proof, read.signature) == note == signed(second())


@pytest.mark.parametrize("flip", [0x01, 0x20])
def test_no_byte_of_a_signed_record_can_be_changed(flip: int) -> None:
    whole = signed(second()).encode()
    # The end holds checksum and signature; of the record one byte in seventeen is enough here.
    for position in (*range(0, len(whole) - 400, 17), *range(len(whole) - 400, len(whole))):
        changed = bytearray(whole)
        changed[position] ^= flip
        assert broken_links(bytes(changed).decode("utf-8", "replace"), ONE, None, None, genuine)


# --- whose signature -----------------------------------------------------------------------------


def test_a_record_of_format_2_without_a_signature_is_broken() -> None:
    assert broken_links(canonical(second()), ONE, None, None, genuine) == (
        "the record is not signed, as one of its format must be",
    )


def test_a_signature_that_nobody_can_check_counts_as_broken() -> None:
    assert broken_links(signed(second()), ONE, None) == (
        "the signature was not checked: nothing here can do it",
    )


def test_a_signature_of_another_record_does_not_fit() -> None:
    by = asyncio.run(InMemorySigner().sign(signed_text(second(cost_microdollars=1))))
    note = canonical(second(), Signature(key=by.key, value=by.value))
    assert "the signature does not fit" in broken_links(note, ONE, None, None, genuine)[0]


def test_a_record_that_is_signed_by_another_key_than_expected_is_broken() -> None:
    stranger = InMemorySigner(b"s" * 32)
    expected = asyncio.run(InMemorySigner().sign("")).key
    note = signed(second(), stranger)
    (said,) = broken_links(note, ONE, None, expected, genuine)
    assert f"and {expected} was expected" in said
    # Who does not say whose key to expect is told that.
    told = links_of(note, ONE, None, genuine=genuine)
    assert any("whose key to expect was not said" in link.holds for link in told)


@pytest.mark.parametrize(
    "change",
    [
        {"key": ""},
        {"key": "AAAA"},
        {"value": "é"},
        {"value": ""},
        {"value": "AAAA"},
    ],
)
def test_what_is_no_signature_does_not_fit(change: dict[str, str]) -> None:
    by = asyncio.run(InMemorySigner().sign(signed_text(second())))
    broken = Signature(key=by.key, value=by.value).model_copy(update=change)
    found = broken_links(canonical(second(), broken), ONE, None, None, genuine)
    assert found == ("the signature does not fit: whoever made this record does not have the key",)


# --- a record of format 2 that was made anew, and signed -----------------------------------------


def rows(**changes: Any) -> dict[str, Any]:
    """The matrix with another first row."""
    matrix = second().matrix
    assert matrix is not None
    first, *others = matrix.rows
    return {
        "matrix": matrix.model_copy(update={"rows": (first.model_copy(update=changes), *others)})
    }


def opened(standing: Standing = Standing.OPEN) -> Ledger:
    entry = Entry(id="F1", finding=GRAVE, standing=standing, first_round=1, last_round=1)
    return Ledger(entries=(entry,))


def with_change(**changes: Any) -> dict[str, Any]:
    return {"examination": EXAMINED.model_copy(update=changes)}


def approved(gate: str, *about: str, reason: str = "so be it", by: str = "ada") -> Decision:
    said = {"gate": gate, "answer": "approved", "by": by, "reason": reason}
    return Decision.model_validate({**said, "tree": ONE.tree, "about": about})


AUDITED = Audit(session="task/w/t/audit-1", at=ONE, report=READY)
NOT_READY = AUDITED.model_copy(update={"report": READY.model_copy(update={"verdict": "not_ready"})})
MARK = Mark(path="app/a.py", line=3, kind="todo", text="# TODO: the rest")
BREAK = RuleBreak(rule="no-print", path="app/a.py", line=4, text="print()", why="")
ELSEWHERE = ref("elsewhere")
HOLE = ("no handoff says which code meets it",)
MERGE = decision("merge")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"examination": None}, "no examination of the change is in the record"),
        (with_change(candidate=ELSEWHERE), "the examination in the record is of another commit"),
        (with_change(base=ELSEWHERE), "the examination in the record is of another commit"),
        ({"matrix": None}, "no trace matrix is in the record"),
        (rows(holes=HOLE), "AC1: no handoff says which code meets it"),
        (rows(holes=HOLE, waived="ada: why"), "no decision about this tree says so"),
        (rows(code=()), "AC1 is said to be covered, and no code or no reviewer"),
        (rows(judged="unjudged"), "AC1 is said to be covered, and no code or no reviewer"),
        (rows(criterion=CRITERIA[1]), "has other criteria than the task"),
        ({"criteria": ()}, "has other criteria than the task"),
        ({"audits": ()}, f"the audit {AUDIT!r} was demanded, and none of this tree is there"),
        (
            {"audits": (AUDITED.model_copy(update={"at": ELSEWHERE}),)},
            f"the audit {AUDIT!r} was demanded, and none of this tree is there",
        ),
        ({"audits": (NOT_READY,)}, "says that this tree is not ready, and nobody accepted it"),
        (
            {"decisions": ()},
            "which a person had to: policy; it went through escalation: A critical",
        ),
        ({"decisions": (), "demanded": ()}, "it went through escalation"),
        ({"decisions": (), "escalation": None}, "which a person had to: policy"),
        ({"decisions": (decision("merge", tree=ELSEWHERE.tree),)}, "nobody approved the merge"),
        ({"decisions": (decision("merge", "rejected"),)}, "nobody approved the merge"),
        ({"decisions": (approved("merge", by=" "),)}, "nobody approved the merge"),
        ({"ledger": None}, "no finding ledger is in the record"),
        ({"ledger": opened()}, "F1 is open and nobody accepted it: major, It is wrong."),
        ({"ledger": opened(Standing.FLAPPING)}, "F1 is open and nobody accepted it"),
        (with_change(marks=(MARK,)), "put off, and nobody accepted it: app/a.py:3"),
        (with_change(breaks=(BREAK,)), "app/a.py:4 breaks the rule 'no-print', and nobody"),
        ({"reviews": ()}, "no verdict in the record is about the merged tree"),
        ({"verification": verification(check(P, F))}, "check 'tests' fails"),
    ],
)
def test_what_a_record_of_format_2_lacks_is_named(changes: dict[str, Any], says: str) -> None:
    assert any(says in one for one in breaks(second(**changes)))


@pytest.mark.parametrize(
    ("changes", "gate"),
    [
        ({"audits": (NOT_READY,)}, approved("audit")),
        ({"ledger": opened()}, approved("findings")),
        ({"ledger": opened(Standing.FIXED)}, approved("unneeded")),
        (
            with_change(marks=(MARK,)),
            approved(
                "put-off",
                "app/a.py:3 leaves something to do, and names no filed issue: # TODO: the rest",
            ),
        ),
        (with_change(breaks=(BREAK,)), approved("rules")),
        (rows(holes=HOLE, waived="ada: so be it"), approved("criteria", "AC1")),
    ],
)
def test_what_a_person_accepted_of_this_tree_is_no_broken_link(
    changes: dict[str, Any], gate: Decision
) -> None:
    assert breaks(second(**changes, decisions=(MERGE, gate))) == ()
    elsewhere = gate.model_copy(update={"tree": ELSEWHERE.tree})
    stands = gate.gate == "unneeded"
    assert (breaks(second(**changes, decisions=(MERGE, elsewhere))) == ()) == stands


def test_a_waiver_names_who_and_why() -> None:
    changes = rows(holes=HOLE, waived="ada: so be it")
    made = second(**changes, decisions=(MERGE, approved("criteria", "AC1")))
    told = links_of(signed(made), ONE, None, genuine=genuine)
    assert any("AC1 was waived by ada: so be it" in link.holds for link in told)
    silent = second(**changes, decisions=(MERGE, approved("criteria", "AC1", reason=" ")))
    assert breaks(silent) == ("AC1 was waived by ada without a reason",)


def test_a_change_that_nothing_asked_a_person_for_needs_no_approval() -> None:
    assert breaks(second(decisions=(), demanded=(), escalation=None)) == ()
    human = Demand(gate="human", detail="", why="Its risk is critical.")
    route = ROUTE.model_copy(update={"demands": (*ROUTE.demands, human)})
    (said,) = breaks(second(decisions=(), demanded=(), escalation=None, route=route))
    assert "Its risk is critical." in said


# --- built again from what was stored ------------------------------------------------------------


def closed(
    record: PhaseRecord, *said: Artifact, pipeline: str = "task/w/t", **changes: Any
) -> SessionClosed:
    made = record.model_copy(update=changes)
    return SessionClosed(
        session=made.session, pipeline=pipeline, record=made, artifacts=said, notes=(), why="Done."
    )


STORED = tuple(closed(one, said) for one, said in DID)


def seen(made: Proof | None = None) -> tuple[Seen, ...]:
    made = made or second()
    assert made.examination is not None
    checks, looked = made.verification.model_dump_json(), made.examination.model_dump_json()
    return (
        Seen(key="1", kind="examination", body=looked),
        Seen(key="2", kind="verification", body=checks),
        *(
            Seen(key=f"d{n}", kind="decision", body=one.model_dump_json())
            for n, one in enumerate(made.decisions)
        ),
    )


def test_a_record_that_is_what_was_stored_has_no_differences() -> None:
    assert differences(second(), STORED, seen()) == ()
    read = Note.model_validate(json.loads(signed(second()))).proof
    assert differences(read, STORED, seen()) == ()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"phases": second().phases[1:]}, "task/w/t/shaping-1 ended, and the record leaves it out"),
        (
            {"phases": (record(Phase.SHAPING, turns=4), *second().phases[1:])},
            "the store tells task/w/t/shaping-1 otherwise: turns differ",
        ),
        (
            {"phases": (*second().phases, record(Phase.FIX))},
            "how task/w/t/fix-1 ended is in the record and not in the store",
        ),
        (
            {"reviews": (REVIEW.model_copy(update={"verdict": BLOCKING}),)},
            "task/w/t/review-1 did not give the verdict that the record has of it",
        ),
        (
            {"reviews": (REVIEW.model_copy(update={"session": "task/w/t/review-2"}),)},
            "task/w/t/review-2 did not give the verdict",
        ),
        (
            {"audits": (NOT_READY,)},
            "task/w/t/audit-1 did not give the audit report that the record has of it",
        ),
        ({"audits": ()}, "the audit report of task/w/t/audit-1 is not in the record"),
        ({"ledger": Ledger()}, "was made of other verdicts than stand in it"),
        ({"criteria": CRITERIA[:1]}, "the acceptance criteria in the record are not those"),
        (rows(tests=("made.up::test",)), "the trace matrix says something else of AC1"),
        (
            {"verification": verification(check(tests=((TEST, "more"), ())))},
            "the verification in the record is not the newest one in the store",
        ),
        (with_change(unread=()), "the examination in the record is not the newest one"),
        ({"examination": None}, "the examination in the record is not the newest one"),
        (
            {"decisions": (decision("merge", reason="forged"),)},
            "that ada approved 'merge' is in the record and not in the store",
        ),
        ({"decisions": ()}, "ada approved 'merge', and the record leaves it out"),
    ],
)
def test_what_the_record_says_and_the_store_does_not_is_named(
    changes: dict[str, Any], says: str
) -> None:
    assert any(says in one for one in differences(second(**changes), STORED, seen()))


def with_seen(key: str, kind: Any, body: str) -> Callable[[], tuple[Seen, ...]]:
    return lambda: (*seen(), Seen(key=key, kind=kind, body=body))


FAILED = verification(check(P, F)).model_dump_json()


@pytest.mark.parametrize(
    ("sessions", "found", "says"),
    [
        (
            (*STORED, closed(record(Phase.REVIEW, number=2), BLOCKING)),
            seen,
            "the last verdict of task/w/t/review-2 is 'blocking', and the record omits it",
        ),
        (
            (*STORED[:2], closed(record(Phase.REVIEW), CLEAN, BLOCKING), STORED[3]),
            seen,
            "the last verdict of task/w/t/review-1 is 'blocking', and the record omits it",
        ),
        (STORED[1:], seen, "how task/w/t/shaping-1 ended is in the record and not in the store"),
        (STORED, with_seen("9", "verification", FAILED), "is not the newest one in the store"),
        (
            STORED,
            with_seen("9", "verification", "{"),
            "the newest verification in the store cannot",
        ),
        (STORED, with_seen("9", "decision", "{"), "a decision in the store cannot be read"),
        (
            STORED,
            with_seen("9", "decision", decision("audit", "rejected").model_dump_json()),
            "ada rejected 'audit', and the record leaves it out",
        ),
        (STORED, lambda: seen()[1:], "the store has no examination of this commit on this base"),
        (STORED, lambda: seen()[:1], "the store has no verification of this commit on this base"),
    ],
)
def test_what_the_store_has_and_the_record_leaves_out_is_named(
    sessions: tuple[SessionClosed, ...], found: Callable[[], tuple[Seen, ...]], says: str
) -> None:
    assert any(says in one for one in differences(second(), sessions, found()))


@pytest.mark.parametrize(
    "more",
    [
        closed(record(Phase.REVIEW, session="task/w/t/review-1/style"), BLOCKING),
        closed(record(Phase.REVIEW, session="task/w/other/review-1"), BLOCKING),
    ],
)
def test_sessions_below_others_and_of_others_are_no_part_of_the_record(more: SessionClosed) -> None:
    assert differences(second(), (*STORED, more), seen()) == ()


def test_what_was_found_out_about_other_trees_is_no_part_of_the_record() -> None:
    other = verification(check(P, F, at=ELSEWHERE), at=ELSEWHERE).model_dump_json()
    about_other = decision("findings", tree=ELSEWHERE.tree).model_dump_json()
    more = (
        Seen(key="8", kind="verification", body=other),
        Seen(key="9", kind="decision", body=about_other),
    )
    assert differences(second(), STORED, (*seen(), *more)) == ()


def test_a_reviewer_who_went_on_is_told_with_every_verdict() -> None:
    """Its one session has delivered twice: a blocking verdict of the tree before, and this one."""
    before = Review(session=REVIEW.session, at=ref("older"), verdict=BLOCKING)
    rounds = tuple(
        Round(number=n, session=one.session, tree=one.at.tree)
        for n, one in enumerate((before, REVIEW), 1)
    )
    made = proof_of(delivered(reviews=(before, REVIEW), ledger=Ledger(rounds=rounds)))
    stored = (*STORED[:2], closed(record(Phase.REVIEW), BLOCKING, CLEAN), STORED[3])
    assert differences(made, stored, seen(made)) == ()
    assert differences(made.model_copy(update={"reviews": (before,)}), stored, seen(made)) != ()


def test_a_verdict_that_does_not_count_because_nobody_looked_is_no_gap() -> None:
    blind = record(Phase.REVIEW, number=2, looks=0)
    made = proof_of(delivered(records=(*(one for one, _ in DID), blind)))
    assert differences(made, (*STORED, closed(blind, BLOCKING)), seen(made)) == ()


def test_a_session_that_never_began_needs_no_ending_in_the_store() -> None:
    unrun = record(Phase.FIX, turns=0, ending="failed")
    made = proof_of(delivered(records=(*(one for one, _ in DID), unrun)))
    assert differences(made, STORED, seen(made)) == ()


def test_criteria_of_the_tasks_own_text_are_held_against_it() -> None:
    state = delivered(artifacts=(CODED, CLEAN, READY), records=tuple(one for one, _ in DID[1:]))
    said = "\n".join(f"{one.id}: {one.statement}" for one in CRITERIA)
    task = Task(source="typed", title="T", body=said)
    state = state.model_copy(update={"request": state.request.model_copy(update={"task": task})})
    made = proof_of(state)
    assert made.criteria == CRITERIA
    assert differences(made, STORED[1:], seen(made)) == ()
    fewer = made.model_copy(update={"task": task.model_copy(update={"body": "AC1: Less."})})
    assert any("acceptance criteria" in one for one in differences(fewer, STORED[1:], seen(made)))


# --- the published schema ------------------------------------------------------------------------


def schema() -> str:
    told = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Note.model_json_schema()}
    return json.dumps(told, indent=1, sort_keys=True) + "\n"


def test_the_published_schema_is_that_of_the_record() -> None:
    assert SCHEMA.read_text() == schema(), "python -m tests.coordinators.test_prove writes it anew"


@pytest.mark.parametrize("note", [NOTE, canonical(proof_of(golden())), signed(second())])
def test_every_record_fits_the_published_schema(note: str) -> None:
    judge = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    assert [error.message for error in judge.iter_errors(json.loads(note))] == []
    altered = json.loads(note) | {"sha256": "x"}
    assert not judge.is_valid(altered)


if __name__ == "__main__":
    SCHEMA.write_text(schema())
