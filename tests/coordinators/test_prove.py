"""The proof record: one text for one record, and every way of breaking it named."""

import json
from typing import Any

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
from worktrain.contracts.base import digest
from worktrain.contracts.pipeline import Phase, PipelineState
from worktrain.contracts.proof import Proof
from worktrain.contracts.task import Task
from worktrain.coordinators.prove import broken_links, canonical, proof_of

TESTS = (("a::ok", "b::ok"), ("c::known",))


def merged(**changes: Any) -> PipelineState:
    facts = {
        "artifacts": (artifact("wr.shaping_handoff"),),
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
