"""JSON Schemas: what can be used, what breaks one, and an example that satisfies it."""

from typing import Any

import pytest

from worktrain.contracts.base import JsonObject
from worktrain.engine.schemas import example_of, problems, schema_fault, untitled


def test_drafts_differ_where_the_schema_says_which() -> None:
    tuple_of = {"items": [{"type": "string"}]}
    seventh = {"$schema": "http://json-schema.org/draft-07/schema#", **tuple_of}
    assert problems(seventh, ["x"]) == ()
    assert problems(seventh, [1]) == ("[0]: must be string, not number",)
    assert "cannot be used" in problems(tuple_of, ["x"])[0]


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "text"}, "'text' is not valid"),
        ({"$ref": "http://127.0.0.1:9/schema.json"}, "`$ref` 'http"),
        ({"$ref": "#/$defs/none"}, "`$ref` '#/$defs/none'"),
        ({"$ref": "#/$defs/a/b", "$defs": {"a/b": {}, "a": {}}}, "`$ref` '#/$defs/a/b'"),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {}}}, "`$ref` '#/$defs/a~1b'"),
        ({"properties": {"a": {"$id": "http://127.0.0.1:9/"}}}, "`$id` may only stand at the top"),
        ({"items": {"$schema": "http://json-schema.org/draft-07/schema#"}}, "`$schema` may only"),
        ({"items": {"patternProperties": {"(a+)+": {}}}}, "`patternProperties` is not supported"),
        ({"pattern": "(?=a)"}, "look-around"),
        (5, "is not of type"),
    ],
)
def test_a_schema_that_cannot_be_used_says_why_and_accepts_nothing(schema: Any, said: str) -> None:
    assert said in schema_fault(schema)
    assert "the spec must be corrected" in problems(schema, "x")[0]


def test_keywords_may_be_the_names_of_properties() -> None:
    names = {"pattern": {}, "$ref": {"type": "string"}, "patternProperties": {}, "const": {}}
    schema = {"properties": names, "const": {"$ref": 5}, "enum": [{"pattern": "("}]}
    assert schema_fault(schema) == ""


@pytest.mark.parametrize("name", ["http://127.0.0.1:9/x", "urn:x:y", "%%%", "../x", ""])
def test_the_name_of_a_schema_does_not_lead_outside(name: str) -> None:
    schema = {"$id": name, "$defs": {"a": {"type": "string"}}, "items": {"$ref": "#/$defs/a"}}
    assert problems(schema, [1]) == ("[0]: must be string, not number",)


def test_a_schema_may_be_recursive() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"below": {"type": "array", "items": {"$ref": "#"}}},
    }
    assert problems(schema, {"below": [{"below": []}]}) == ()
    assert problems(schema, {"below": [{"below": [1]}]}) == (
        "below[0].below[0]: must be object, not number",
    )


@pytest.mark.parametrize("start", ["", "http://json-schema.org/draft-07/schema#"])
def test_a_schema_that_unfolds_without_end_is_given_up(start: str) -> None:
    doubling = {f"a{n}": {"allOf": [{"$ref": f"#/definitions/a{n + 1}"}] * 2} for n in range(40)}
    schema: dict[str, Any] = {
        **({"$schema": start} if start else {}),
        "definitions": {**doubling, "a40": {}},
        "allOf": [{"$ref": "#/definitions/a0"}],
    }
    assert "unfold to more than 20,000" in problems(schema, "x")[0]
    assert "it cannot be checked" in problems({"allOf": [{"$ref": "#"}]}, "x")[0]


def test_a_catastrophic_pattern_in_a_schema_is_answered_at_once() -> None:
    schema = {"items": {"pattern": "^(a+)+$"}}
    assert problems(schema, ["a" * 50_000]) == ()
    assert problems(schema, ["a" * 50_000 + "b"]) == ('[0]: breaks `pattern`: "^(a+)+$"',)


def test_equal_members_are_found_in_a_long_list() -> None:
    members: list[Any] = [{"n": n} for n in range(20_000)]
    assert problems({"uniqueItems": True}, members) == ()
    assert problems({"uniqueItems": True}, [*members, {"n": 5}]) != ()


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        ({"const": 3}, 3),
        ({"enum": ["a", "b"]}, "a"),
        ({"type": "string", "default": "x"}, "x"),
        ({"type": ["null", "integer"], "minimum": 5}, 5),
        ({"type": "integer", "exclusiveMinimum": 5}, 6),
        ({"type": "number", "exclusiveMaximum": -2}, -3),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": "string", "description": "What changed."}, "What changed."),
        ({"type": "string", "minLength": 6}, "text.."),
        ({"type": "string", "maxLength": 2}, "te"),
        ({"type": "string", "format": "date"}, "2026-01-31"),
        ({"type": "array", "minItems": 2, "items": {"type": "boolean"}}, [True, True]),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        (
            {"properties": {"a": {"const": 1}, "b": {"const": 2}}, "required": ["a"]},
            {"a": 1, "b": 2},
        ),
        (
            {"allOf": [{"required": ["a"], "properties": {"a": {"const": 1}}}]},
            {"a": 1},
        ),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"const": 4}}}, 4),
    ],
)
def test_an_example_is_made_of_a_schema_that_it_satisfies(schema: JsonObject, example: Any) -> None:
    assert example_of(schema) == example
    assert problems(schema, example) == ()


def test_a_schema_that_contains_itself_has_an_example_that_ends() -> None:
    tree = {"properties": {"name": {"type": "string"}, "below": {"$ref": "#"}}}
    made = example_of({**tree, "required": ["name"]})
    assert made == {"name": "text", "below": {"name": "text"}}
    assert problems({**tree, "required": ["name"]}, made) == ()


def test_titles_go_and_a_property_of_that_name_stays() -> None:
    schema = {
        "title": "Digest",
        "properties": {"title": {"title": "Title", "type": "string"}, "properties": {"title": "P"}},
        "required": ["title"],
        "$defs": {"title": {"title": "T", "anyOf": [{"title": "X", "const": {"title": "kept"}}]}},
    }
    assert untitled(schema) == {
        "properties": {"title": {"type": "string"}, "properties": {}},
        "required": ["title"],
        "$defs": {"title": {"anyOf": [{"const": {"title": "kept"}}]}},
    }
    assert schema["title"] == "Digest"
