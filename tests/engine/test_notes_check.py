"""Notes: there, of the right length, and as the step's criteria want them; never cut."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worktrain.contracts.spec import Step
from worktrain.contracts.turn import Blocker, BlockerCode
from worktrain.contracts.workspace import Limits
from worktrain.engine.notes_check import blockers_of, criteria_fault

NOTES = "Read app/login.py, changed the comparison, ran all tests: 12 passed."
LIMITS = Limits()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["and", "or", "not", "type", "value", "pattern", "flags", "min"])
            | st.sampled_from(["max", "schema", "message", "condition"]),
            inner | st.sampled_from(["contains", "regex", "length", "schema", "i", "("]),
        )
    ),
    max_leaves=10,
)
YES = {"type": "contains", "value": "login", "message": "Name the place."}
NO = {"type": "contains", "value": "lost", "message": "Say what was lost."}
OTHER = {"type": "length", "min": 500, "message": "Say more."}
NOT_NOW = {**NO, "condition": {"var": "strict"}}


def told(criteria: dict[str, Any], notes: str = NOTES, **context: Any) -> tuple[Blocker, ...]:
    found = blockers_of(notes, True, criteria, context, LIMITS)
    assert all(one.code is BlockerCode.INVALID_NOTES for one in found)
    assert all((one.pointer.kind, one.pointer.name) == ("notes", "notes") for one in found)
    return found


def test_good_notes_are_accepted() -> None:
    assert blockers_of(NOTES, True, None, {}, LIMITS) == ()


@pytest.mark.parametrize("notes", ["", " \n\t"])
@pytest.mark.parametrize("least", [0, 50])
def test_required_notes_that_are_missing_block(notes: str, least: int) -> None:
    (blocker,) = blockers_of(notes, True, YES, {}, Limits(notes_chars_min=least))
    assert blocker.code is BlockerCode.MISSING_REQUIRED_NOTES
    assert blockers_of(notes, False, YES, {}, LIMITS) == ()


def test_short_notes_are_refused_only_where_notes_are_required() -> None:
    (blocker,) = blockers_of(" Done. \n", True, None, {}, LIMITS)
    assert blocker.code is BlockerCode.INVALID_NOTES
    assert "5 characters; at least 50" in blocker.message
    assert blockers_of(" Done. \n", False, None, {}, LIMITS) == ()


@pytest.mark.parametrize("required", [True, False])
def test_notes_that_are_given_meet_the_criteria_even_when_they_need_not_be(required: bool) -> None:
    (broken,) = blockers_of(NOTES, required, NO, {}, LIMITS)
    assert broken.message == "Say what was lost."


@pytest.mark.parametrize("size", [4096, 4097])
def test_over_long_notes_are_refused_with_the_count_and_the_limit(size: int) -> None:
    notes = "é" * 2000 + "x" * (size - 4000)
    found = blockers_of(notes, True, None, {}, LIMITS)
    assert len(found) == size - 4096
    if found:
        assert found[0].code is BlockerCode.INVALID_NOTES
        assert "4,097 bytes" in found[0].message
        assert "4,096" in found[0].message
        assert "by 1 bytes" in found[0].fix


def test_notes_that_cannot_be_stored_are_refused() -> None:
    (blocker,) = blockers_of(NOTES + "\ud800", True, None, {}, LIMITS)
    assert "no valid Unicode" in blocker.message


@pytest.mark.parametrize(
    ("rule", "right", "wrong"),
    [
        ({"type": "contains", "value": "tests:"}, NOTES, NOTES.upper()),
        ({"type": "regex", "pattern": r"\d+ passed"}, NOTES, NOTES.replace("12", "all")),
        ({"type": "regex", "pattern": "^READ", "flags": "gi"}, NOTES, f"I {NOTES}"),
        ({"type": "regex", "pattern": "^End$", "flags": "m"}, f"{NOTES}\nEnd\n.", f"{NOTES} End"),
        ({"type": "length", "min": 60, "max": 80}, NOTES, NOTES + "x" * 20),
        ({"type": "length", "min": 60}, NOTES, NOTES[:55]),
        (
            {"type": "schema", "schema": {"type": "object", "required": ["done"]}},
            '{"done": "everything that was asked for, and the tests for it"}',
            '{"Done": "everything that was asked for, and the tests for it"}',
        ),
    ],
)
def test_a_broken_rule_is_told_in_its_own_words(
    rule: dict[str, Any], right: str, wrong: str
) -> None:
    rule = {**rule, "message": "This is  what\nthe author says."}
    assert told(rule, right) == ()
    (blocker,) = told(rule, wrong)
    assert blocker.message == "This is what the author says."
    assert "The notes must " in blocker.fix


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        (NOTES, "The notes are no JSON: Expecting value"),
        (
            '{"found": [1, "two"], "say": "what was found in the login"}',
            "found[1]: must be integer",
        ),
        ('{"found": NaN, "say": "what was found in the login form"}', "NaN is no JSON number"),
    ],
)
def test_notes_that_break_a_schema_are_told_where(notes: str, said: str) -> None:
    inner = {"found": {"items": {"type": "integer"}}}
    (blocker,) = told({"type": "schema", "schema": {"properties": inner}, "message": "m"}, notes)
    assert said in blocker.fix


@pytest.mark.parametrize(
    ("criteria", "messages"),
    [
        ({"and": [YES, YES]}, []),
        ({"and": [NO, YES, OTHER]}, ["Say what was lost.", "Say more."]),
        ({"or": [NO, YES]}, []),
        ({"or": [NO, OTHER]}, ["Say what was lost. / Say more."]),
        ({"not": NO}, []),
        ({"not": YES}, ["Name the place."]),
        ({"not": {"or": [NO, YES]}}, ["Say what was lost. / Name the place."]),
        ({"and": [{"or": [NO, OTHER]}], "not": YES}, ["Say what was lost. / Say more.", YES]),
        ({"and": []}, []),
        ({"or": []}, []),
        ({}, []),
        # A rule whose condition does not hold neither passes nor breaks anything.
        (NOT_NOW, []),
        ({"and": [NOT_NOW, OTHER]}, ["Say more."]),
        ({"or": [NOT_NOW, OTHER]}, ["Say what was lost. / Say more."]),
        ({"or": [NOT_NOW]}, []),
        ({"not": NOT_NOW}, []),
        ({"not": {**YES, "condition": {"var": "strict"}}}, []),
    ],
)
def test_compositions_tell_what_is_broken(criteria: dict[str, Any], messages: list[Any]) -> None:
    wanted = [one["message"] if isinstance(one, dict) else one for one in messages]
    assert [blocker.message for blocker in told(criteria)] == wanted


def test_a_rule_applies_when_its_condition_holds() -> None:
    assert told(NOT_NOW, strict="false") == ()
    assert len(told(NOT_NOW, strict=True)) == 1


def test_what_is_wanted_can_be_read() -> None:
    (blocker,) = told({"or": [NO, {"and": [OTHER, {"not": YES}]}]})
    assert blocker.fix == (
        "The notes must contain 'lost' or (have at least 500 characters and not contain 'login')."
    )


@pytest.mark.parametrize(
    ("criteria", "said"),
    [
        ({"type": "sounds", "message": "m"}, "one of contains, regex, length, schema"),
        ({"type": ["contains"]}, "one of contains"),
        ({"type": "contains"}, "needs `value`"),
        ({"type": "regex", "pattern": "("}, "unclosed group"),
        ({"type": "regex", "pattern": "(?=a)"}, "look-around"),
        ({"type": "regex", "pattern": "a", "flags": "q"}, "flags of a pattern"),
        ({"type": "length", "min": "5"}, "whole numbers"),
        ({"type": "schema"}, "no JSON Schema that can be used"),
        ({"type": "schema", "schema": {"$ref": "http://127.0.0.1:9/"}}, "`$ref`"),
        ({"and": YES}, "`and` is a list"),
        ({"not": {"or": ["x"]}}, "a rule is an object"),
    ],
)
def test_criteria_that_cannot_be_used_block_and_blame_the_spec(
    criteria: dict[str, Any], said: str
) -> None:
    assert said in criteria_fault(criteria)
    for written in (criteria, {"not": criteria}, {"or": [YES, criteria]}):
        (blocker,) = told(written)
        assert said in blocker.message
        assert "the spec must change" in blocker.fix


def test_deep_criteria_are_refused() -> None:
    criteria: dict[str, Any] = dict(YES)
    for _ in range(3000):
        criteria = {"not": criteria}
    assert "nested more than" in criteria_fault(criteria)
    assert len(told(criteria)) == 1


def test_what_is_told_at_a_time_is_bounded() -> None:
    assert len(told({"and": [NO] * 50})) == LIMITS.blockers_max


def test_authored_criteria_are_read_as_they_were_written() -> None:
    step = Step.model_validate(
        {"id": "one", "title": "One", "prompt": "Do it.", "validationCriteria": {"and": [YES, NO]}}
    )
    assert step.validationCriteria is not None
    written = step.validationCriteria.model_dump(mode="json", by_alias=True)
    assert [blocker.message for blocker in told(written)] == ["Say what was lost."]


@given(JSON, st.text())
def test_whatever_is_written_is_answered(criteria: Any, text: str) -> None:
    for notes in (text, NOTES + text):
        for blocker in blockers_of(notes, True, criteria, {}, LIMITS):
            assert blocker.model_dump_json()
            assert blocker.message
