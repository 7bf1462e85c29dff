"""Conditions: lenient where people are, never more than false where they cannot be evaluated."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worktrain.contracts.spec import Condition
from worktrain.engine.conditions import (
    DEPTH_MAX,
    EXPLAINED_CHARS_MAX,
    MISSING,
    PATTERN_CHARS_MAX,
    SEARCHED_CHARS_MAX,
    Unusable,
    explained,
    holds,
    look_up,
    one_line,
    searched,
    truthy,
    variables,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
OPERATORS = ("equals", "not_equals", "gt", "gte", "lt", "lte", "in", "contains")
TEXT_OPERATORS = ("startsWith", "endsWith", "matches")
LEAVES = st.fixed_dictionaries(
    {"var": st.sampled_from(["a", "a.b", "c"]) | JSON},
    optional=dict.fromkeys((*OPERATORS, *TEXT_OPERATORS), JSON),
)
CONDITIONS = st.recursive(
    LEAVES | JSON,
    lambda inner: (
        st.fixed_dictionaries({"and": st.lists(inner, max_size=3)})
        | st.fixed_dictionaries({"or": st.lists(inner, max_size=3)})
        | st.fixed_dictionaries({"not": inner})
    ),
    max_leaves=6,
)
CONTEXTS = st.fixed_dictionaries({}, optional={"a": JSON, "c": JSON})
BAD: dict[str, Any] = {"var": "a", "matches": "["}
YES: dict[str, Any] = {"var": "yes"}
NO: dict[str, Any] = {"not": YES}


def passes(operator: str, operand: Any, value: Any) -> bool:
    return holds({"var": "it", operator: operand}, {"it": value})


@pytest.mark.parametrize(
    ("operator", "operand", "value"),
    [
        ("equals", "High", " high\n"),
        ("equals", "STRASSE", "straße"),
        ("equals", 5, "5"),
        ("equals", "5.0", 5),
        ("equals", True, "True "),
        ("equals", "false", False),
        ("equals", 1, True),
        ("equals", [1, "a"], [1, "a"]),
        ("equals", None, None),
        ("not_equals", "low", None),
        ("not_equals", None, ""),
        ("gt", 3, "4"),
        ("gte", 3, 3.0),
        ("lt", 3, " -1e3 "),
        ("lte", 3, 3),
        ("gt", 2**53, 2**53 + 1),
        ("in", ["Small", "Large"], "small"),
        ("in", [None], None),
        ("in", ["1"], 1),
        ("contains", "Security", ["security", "tests"]),
        ("contains", 2, ["1", "2"]),
        ("contains", " RACE ", "a race condition"),
        ("startsWith", "fix/", "FIX/login"),
        ("endsWith", 7, "issue-7"),
        ("matches", r"^v\d+(\.\d+)*$", " v1.20.3 "),
        ("matches", "(?i)HIGH", "high"),
        ("matches", "^12$", 12),
    ],
)
def test_a_value_that_a_person_would_call_the_same_passes(
    operator: str, operand: Any, value: Any
) -> None:
    assert passes(operator, operand, value)


@pytest.mark.parametrize(
    ("operator", "operand", "value"),
    [
        ("equals", "high", "higher"),
        ("equals", 0, ""),
        ("equals", 0, None),
        ("equals", True, 2),
        ("equals", True, "yes"),
        ("equals", 1000, "1_000"),
        ("not_equals", "low", " LOW"),
        ("gt", 3, 3),
        ("gt", 3, None),
        ("gt", 3, "many"),
        ("lt", 3, []),
        ("lt", 3, "-inf"),
        ("gt", "many", 3),
        ("in", "abc", "a"),
        ("in", [], "a"),
        ("contains", "a", {"a": 1}),
        ("contains", "1", 1),
        ("contains", None, "null"),
        ("contains", "d", "abc"),
        ("startsWith", "a", None),
        ("startsWith", ["a"], "a"),
        ("matches", "^high$", "High"),
        ("matches", "x", None),
        ("matches", "[", "["),
        ("matches", 5, "5"),
        ("sounds_like", "x", "x"),
    ],
)
def test_what_is_another_value_or_cannot_be_compared_does_not_pass(
    operator: str, operand: Any, value: Any
) -> None:
    assert not passes(operator, operand, value)


@pytest.mark.parametrize("value", [True, 1, -0.5, "x", "0", [0], {"a": None}])
def test_a_bare_variable_with_something_in_it_holds(value: Any) -> None:
    assert truthy(value)
    assert holds({"var": "it"}, {"it": value})


@pytest.mark.parametrize("value", [None, False, 0, "", " \n", " False", [], {}, float("nan")])
def test_a_bare_variable_with_nothing_in_it_does_not_hold(value: Any) -> None:
    assert not truthy(value)
    assert not holds({"var": "it"}, {"it": value})


def test_null_and_unset_are_the_same() -> None:
    for operator, operand in [("equals", None), ("not_equals", None), ("equals", 1), ("in", [1])]:
        condition = {"var": "it", operator: operand}
        assert holds(condition, {}) is holds(condition, {"it": None})
    assert holds({"var": "it", "equals": None}, {})


@pytest.mark.parametrize(("value", "expected"), [(1, False), (2, True), (4, True), (5, False)])
def test_several_operators_must_all_hold(value: int, expected: bool) -> None:
    assert passes("gt", 1, value) is (value > 1)
    assert holds({"var": "n", "gt": 1, "lt": 5}, {"n": value}) is expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"and": [YES, YES]}, True),
        ({"and": [YES, NO]}, False),
        ({"or": [NO, YES]}, True),
        ({"or": [NO, NO]}, False),
        ({"not": NO}, True),
        ({"not": {"or": [NO, {"and": [YES, NO]}]}}, True),
        ({"and": []}, False),
        ({"or": []}, False),
        ({}, False),
        ({"and": [YES], "or": [YES]}, False),
        ({"not": YES, "equals": 1}, False),
        ({"var": 5}, False),
    ],
)
def test_compositions_hold_as_logic_says_and_malformed_ones_do_not(
    condition: dict[str, Any], expected: bool
) -> None:
    assert holds(condition, {"yes": True}) is expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (BAD, False),
        ({"not": BAD}, False),
        ({"not": {"not": BAD}}, False),
        ({"not": {"and": [BAD, YES]}}, False),
        ({"not": {"and": [BAD, NO]}}, True),
        ({"or": [BAD, YES]}, True),
        ({"or": [BAD, NO]}, False),
    ],
)
def test_what_cannot_be_evaluated_never_makes_a_condition_true(
    condition: dict[str, Any], expected: bool
) -> None:
    assert holds(condition, {"yes": True, "a": "["}) is expected


@pytest.mark.parametrize("depth", [DEPTH_MAX - 1, DEPTH_MAX, 5000])
def test_nesting_is_bounded(depth: int) -> None:
    condition: dict[str, Any] = {"var": "yes"}
    for _ in range(depth):
        condition = {"and": [condition]}
    within = depth < DEPTH_MAX
    assert holds(condition, {"yes": True}) is within
    assert variables(condition) == (("yes",) if within else ())
    assert ("cannot be evaluated" in explained(condition, {})) is not within


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", ".*.*.*.*.*x", "(a?){99}a{99}$"])
def test_a_catastrophic_pattern_is_answered_at_once(pattern: str) -> None:
    # Backtracking would take longer than the universe is old.
    assert not passes("matches", pattern, "a" * (SEARCHED_CHARS_MAX - 1) + "b")


@pytest.mark.parametrize(
    ("pattern", "value", "reason"),
    [
        ("x" * (PATTERN_CHARS_MAX + 1), "x" * (PATTERN_CHARS_MAX + 1), "256 characters"),
        ("x", "x" * (SEARCHED_CHARS_MAX + 1), "10000 characters"),
        ("(?=x)x", "x", "look-around"),
        (r"(x)\1", "xx", "backreferences"),
        ("x{1000}{1000}{1000}", "x", "size limit"),
    ],
)
def test_a_pattern_that_is_refused_is_false_and_explained(
    pattern: str, value: str, reason: str
) -> None:
    condition = {"var": "it", "matches": pattern}
    assert not holds(condition, {"it": value})
    assert reason in explained(condition, {"it": value})


def test_a_pattern_and_a_value_at_their_limits_are_searched() -> None:
    assert passes("matches", "x" * PATTERN_CHARS_MAX, "x" * SEARCHED_CHARS_MAX)
    with pytest.raises(Unusable, match="unclosed group"):
        searched("(", "x")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a", {"b": [{"c": 7}], "d": None}),
        ("a.b.0.c", 7),
        ("a.d", None),
        ("a.b.1", MISSING),
        ("a.b.-1", MISSING),
        ("a.b.9999999", MISSING),
        ("a.b.c", MISSING),
        ("a.x.y", MISSING),
        ("text.0", MISSING),
        ("", MISSING),
    ],
)
def test_a_path_leads_through_objects_and_lists(path: str, expected: Any) -> None:
    assert look_up(path, {"a": {"b": [{"c": 7}], "d": None}, "text": "abc"}) == expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"var": "riskLevel", "equals": "High"}, "riskLevel equals 'High' (is 'Low')"),
        ({"var": "none", "gte": 2}, "none gte 2 (is unset)"),
        ({"var": "n", "gt": 1, "lt": 5}, "n gt 1 and lt 5 (is 3)"),
        ({"var": "list"}, 'list is truthy (is ["a", true])'),
        ({"not": {"var": "n", "equals": 1.5}}, "not (n equals 1.5 (is 3))"),
        (
            {"or": [{"var": "n"}, {"and": [{"var": "n"}, {"var": "x"}]}]},
            "n is truthy (is 3) or (n is truthy (is 3) and x is truthy (is unset))",
        ),
        ({"var": "n", "gt": "x"}, "n gt 'x' (is 3; `gt` cannot be evaluated)"),
        ({"if": 1}, "a condition that cannot be evaluated"),
    ],
)
def test_an_explanation_names_variable_operator_and_value(
    condition: dict[str, Any], expected: str
) -> None:
    assert explained(condition, {"riskLevel": "Low", "n": 3, "list": ["a", True]}) == expected


def test_an_explanation_of_large_and_odd_values_stays_one_short_line() -> None:
    context = {"it": ["x\n" * 200_000], "odd": "a\nb\u2028c\ud800"}
    condition = {"and": [{"var": "odd"}, *[{"var": "it", "contains": "y" * 999}] * 50]}
    told = explained(condition, context)
    assert len(told) == EXPLAINED_CHARS_MAX
    assert told.endswith("…")
    assert told.splitlines() == [told]
    assert told.encode()


def test_variables_are_named_once_in_the_order_in_which_they_are_read() -> None:
    condition = {"or": [{"var": "b"}, {"not": {"var": "a.c"}}, {"and": [{"var": "b"}, BAD]}]}
    assert variables(condition) == ("b", "a.c", "a")


def test_an_authored_condition_is_evaluated_as_it_was_written() -> None:
    written = {"and": [{"var": "a", "equals": None}, {"var": "n", "in": [1, 2]}]}
    raw = Condition.model_validate(written).raw()
    assert holds(raw, {"n": 2})
    assert not holds(raw, {"n": 2, "a": 0})


@given(CONDITIONS, CONTEXTS)
def test_whatever_is_written_is_answered(condition: Any, context: dict[str, Any]) -> None:
    assert holds(condition, context) in (True, False)
    told = explained(condition, context)
    assert len(told) <= EXPLAINED_CHARS_MAX
    assert told.isprintable()
    assert len(set(variables(condition))) == len(variables(condition))


@given(CONDITIONS, CONTEXTS)
def test_a_condition_and_its_opposite_never_both_hold(
    condition: Any, context: dict[str, Any]
) -> None:
    assert not (holds(condition, context) and holds({"not": condition}, context))


@given(st.text(alphabet="ab(|)[]{}*+?\\1^$.-:=\ud800"), st.text(alphabet="ab(1\n"))
def test_any_text_as_a_pattern_is_searched_or_refused(pattern: str, text: str) -> None:
    condition = {"var": "it", "matches": pattern}
    refused = "cannot be used" in explained(condition, {"it": text})
    assert not (refused and holds(condition, {"it": text}))
    assert refused or holds(condition, {"it": text}) is searched(pattern, text.strip())


@given(st.text(st.characters(categories=["L", "N"])), st.text())
def test_letters_are_found_where_they_stand(letters: str, text: str) -> None:
    assert searched(letters, text) is (letters in text)


@given(st.text(), st.integers(1, 50))
def test_one_line_is_one_line(text: str, most: int) -> None:
    line = one_line(text, most)
    assert len(line) <= most
    assert line.isprintable()
    assert line == text or len(text) > most or not text.isprintable()
