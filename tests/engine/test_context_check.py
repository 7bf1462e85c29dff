"""Variables of a step: merged, kept within limits, and compared with what was declared."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worktrain.contracts.base import JsonObject
from worktrain.contracts.turn import Blocker, BlockerCode
from worktrain.contracts.workspace import Limits
from worktrain.engine.blocker import FIX_CHARS_MAX, MESSAGE_CHARS_MAX
from worktrain.engine.context_check import RESERVED, blockers_of, merged, missing
from worktrain.engine.schemas import PROBLEMS_MAX, problems, schema_fault

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
KEYWORDS = st.sampled_from(
    ["type", "items", "properties", "required", "enum", "pattern", "$ref", "anyOf"]
) | st.sampled_from(
    ["minLength", "minItems", "uniqueItems", "multipleOf", "default", "$schema", "$defs"]
)
WORDS = st.sampled_from(["string", "object", "array", "#", "#/$defs/a", "(", "integer"])
SCHEMAS = st.recursive(
    st.dictionaries(KEYWORDS, JSON | WORDS, max_size=4),
    lambda inner: st.dictionaries(
        KEYWORDS, inner | st.lists(inner | WORDS, max_size=2) | st.dictionaries(WORDS, inner)
    ),
    max_leaves=5,
)
CONTEXTS = st.dictionaries(st.text(max_size=5), JSON, max_size=4)
SMALL = Limits(context_bytes_max=1024, context_depth_max=3)


def checked(given: dict[str, Any], limits: Limits = SMALL) -> tuple[Blocker, ...]:
    return blockers_of(given, merged({}, given), limits)


def test_a_merge_is_shallow_and_null_removes() -> None:
    before = {"a": {"x": 1}, "b": 2, "c": 3}
    after = merged(before, {"a": {"y": 1}, "b": None, "d": None, "e": 0})
    assert after == {"a": {"y": 1}, "c": 3, "e": 0}
    assert before == {"a": {"x": 1}, "b": 2, "c": 3}


@pytest.mark.parametrize("name", RESERVED)
@pytest.mark.parametrize("value", ["x", None])
def test_a_reserved_name_is_neither_set_nor_removed(name: str, value: str | None) -> None:
    (blocker,) = checked({name: value, "metrics_outcome": "success"})
    assert (blocker.code, blocker.pointer.name) == (BlockerCode.INVALID_CONTEXT_KEY, name)
    assert blocker.pointer.kind == "context_key"


@pytest.mark.parametrize("value", [float("nan"), {"a": [float("inf")]}, "\ud800", {"\udfff": 1}])
def test_what_cannot_be_stored_as_json_is_refused(value: Any) -> None:
    (blocker,) = checked({"it": value})
    assert (blocker.code, blocker.pointer.name) == (BlockerCode.INVALID_CONTEXT_KEY, "it")


@pytest.mark.parametrize(("value", "right"), [("x", True), ([[1]], True), ([{"a": []}], False)])
def test_depth_counts_lists_and_objects_with_the_context_as_the_first(
    value: Any, right: bool
) -> None:
    found = checked({"it": value})
    assert (found == ()) is right
    assert all(one.code is BlockerCode.CONTEXT_BUDGET_EXCEEDED for one in found)
    assert all(one.pointer.kind == "context_budget" for one in found)


def test_a_value_that_is_far_too_deep_is_refused_like_any_other() -> None:
    value: Any = "x"
    for _ in range(20_000):
        value = [value]
    (blocker,) = checked({"it": value}, Limits())
    assert "is 20,001 levels deep; 64 are allowed" in blocker.message


@pytest.mark.parametrize("more", [0, 1])
def test_size_is_counted_in_bytes_of_compact_json(more: int) -> None:
    given = {"b": 1, "größe": ["é", {}], "a": ""}
    room = 1024 - len(json.dumps(given, ensure_ascii=False, separators=(",", ":")).encode())
    given["a"] = "x" * (room + more)
    found = checked(given)
    assert len(found) == more
    if more:
        assert "1,025 bytes of JSON; 1,024 are allowed" in found[0].message
        assert found[0].pointer.name == "a"
        assert f"`a` ({room + more + 7:,} bytes)" in found[0].fix


def test_what_is_told_at_a_time_is_bounded() -> None:
    given = dict.fromkeys(RESERVED, 1)
    assert len(checked(given, Limits(blockers_max=3))) == 3
    assert len(checked(given)) == len(RESERVED)


@given(CONTEXTS, CONTEXTS)
def test_any_variables_are_answered(context: dict[str, Any], given: dict[str, Any]) -> None:
    after = merged(context, given)
    assert None not in after.values()
    for blocker in blockers_of(given, after, SMALL):
        assert blocker.model_dump_json()


@pytest.mark.parametrize("given", [{}, {"risk": None}])
def test_a_variable_that_is_absent_or_null_is_missing(given: dict[str, Any]) -> None:
    (blocker,) = missing({"risk": {"enum": ["Low", "High"]}}, given)
    assert blocker.code is BlockerCode.MISSING_CONTEXT_KEY
    assert (blocker.pointer.kind, blocker.pointer.name) == ("context_key", "risk")
    assert '{"risk": "Low"}' in blocker.fix
    assert '{"enum": ["Low", "High"]}' in blocker.fix


def test_a_variable_of_another_type_is_told_where_it_is_wrong() -> None:
    schema = {"type": "array", "items": {"type": "object", "required": ["path"]}}
    wanted: dict[str, JsonObject] = {"files": schema, "count": {"type": "integer"}, "flag": {}}
    first, second = missing(wanted, {"files": [{"path": 1}, {}], "count": "3", "flag": False})
    assert {first.code, second.code} == {BlockerCode.INVALID_CONTEXT_KEY}
    assert "[1]: 'path' is a required property" in first.message
    assert "must be integer, not string" in second.message


def test_what_is_declared_and_given_is_not_missing() -> None:
    wanted: dict[str, JsonObject] = {
        "a": {"type": "number", "minimum": 2},
        "b": {"type": "boolean"},
    }
    assert missing(wanted, {"a": 2, "b": False, "c": None}) == ()


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        ({}, "text"),
        ({"type": ["null", "number"], "minimum": 3, "maximum": 4}, 3),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "string", "minLength": 6}, "text.."),
        ({"type": "boolean"}, True),
        ({"type": "array", "items": {"const": 5}, "minItems": 2}, [5, 5]),
        ({"type": "string", "pattern": "^AC", "examples": ["AC1"]}, "AC1"),
        ({"anyOf": [{"type": "null"}, {}], "default": 7}, 7),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"enum": ["x"]}}}, "x"),
        (
            {"type": "object", "properties": {"a": {}, "b": {"type": "object"}}, "required": ["b"]},
            {"a": "text", "b": {}},
        ),
    ],
)
def test_an_example_value_satisfies_its_schema(schema: dict[str, Any], example: Any) -> None:
    (blocker,) = missing({"it": schema}, {})
    assert json.dumps({"it": example}) in blocker.fix
    assert problems(schema, example) == ()


def test_no_example_is_better_than_a_wrong_one() -> None:
    (blocker,) = missing({"it": {"type": "string", "pattern": "^AC"}}, {})
    assert "for example" not in blocker.fix
    assert '"pattern": "^AC"' in blocker.fix


def test_a_schema_that_is_nested_too_deeply_is_told_to_be() -> None:
    schema: JsonObject = {}
    for _ in range(20_000):
        schema = {"not": schema}
    (blocker,) = missing({"it": schema}, {"it": 1})
    assert "nested too deeply" in blocker.message


def test_what_is_wrong_is_bounded_in_number_and_length() -> None:
    told = problems({"items": {"type": "string"}}, [1] * 1000)
    assert len(told) == PROBLEMS_MAX
    (blocker,) = missing({"it": {"enum": ["x" * 5000]}}, {"it": "y\n" * 5000})
    assert len(blocker.message) <= MESSAGE_CHARS_MAX
    assert len(blocker.fix) <= FIX_CHARS_MAX


@given(SCHEMAS, JSON)
def test_any_schema_and_any_value_are_answered(schema: dict[str, Any], value: Any) -> None:
    told = problems(schema, value)
    assert told or not schema_fault(schema)
    for blocker in missing({"it": schema}, {"it": value}):
        assert blocker.model_dump_json()
