"""Kinds that a project defines: read from its files, or refused with the place."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worktrain.engine.contracts_check import check, contract
from worktrain.engine.contracts_check.own_contracts import own_contracts
from worktrain.engine.parse import Unreadable

NOTES = "acme.release_notes"
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
YAML = """\
kind: acme.release_notes
schema:
  type: object
  required: [version]
  properties:
    version: {type: string}
"""


def test_a_projects_contracts_are_read_from_yaml_and_json() -> None:
    other = json.dumps({"kind": "acme.plan", "schema": {"properties": {"a": {"type": "integer"}}}})
    own = own_contracts({".worktrain/contracts/b.yml": YAML, ".worktrain/contracts/a.json": other})
    assert list(own) == ["acme.plan", NOTES]
    assert own[NOTES]["properties"] == {"version": {"type": "string"}}
    for kind in own:
        assert check(kind, None, [contract(kind, own).example], own)[1] == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: wr.mine\nschema: {}\n", "c.yml:1:7: kind: kinds that begin with `wr.` are Work"),
        ("kind: Ours\nschema: {}\n", "c.yml:1:7: kind: a kind is made of"),
        ("kind: ''\nschema: {}\n", "c.yml:1:7: kind: "),
        ("kind: a.b\nschema: {}\nschemas: 1\n", 'c.yml:3:1: unknown key "schemas"; did you mean'),
        ("kind: a.b\nschema: [1]\n", "c.yml:2:9: schema: a set of keys is wanted here"),
        ("kind: a.b\nschema:\n  type: array\n", "c.yml:3:9: schema.type: an artifact is an obj"),
        (
            "kind: a.b\nschema:\n  properties:\n    a: {minLength: -1}\n",
            "c.yml:4:20: schema.properties.a.minLength: ",
        ),
        (
            "kind: a.b\nschema:\n  $defs:\n    x:\n      type: strin\n",
            "c.yml:5:13: schema.$defs.x.type: ",
        ),
        (
            "kind: a.b\nschema:\n  properties: {a: {$ref: 'https://example.org/x'}}\n",
            "c.yml:3:3: schema: ",
        ),
        (
            "kind: a.b\nschema:\n  properties: {a: {type: string, pattern: '^x[0-9]$'}}\n",
            "c.yml:3:3: schema: no example can be made of this schema; add `examples`",
        ),
        (
            "kind: a.b\nschema:\n  properties: {a: {type: string}}\n  examples: [{a: 1}]\n",
            "c.yml:4:13: schema.examples: the first example breaks the schema: a: must be string",
        ),
        ("kind: [", "c.yml:1:"),
    ],
)
def test_a_contract_that_cannot_be_used_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(Unreadable) as refused:
        own_contracts({"c.yml": text})
    assert str(refused.value).startswith(said)


def test_every_file_that_is_wrong_is_told() -> None:
    with pytest.raises(Unreadable) as refused:
        own_contracts({"b.yml": YAML, "a.yml": YAML, "c.yml": "kind: wr.x\nschema: {}\n"})
    assert [problem.file for problem in refused.value.problems] == ["b.yml", "c.yml"]
    assert "is defined in a.yml too" in str(refused.value)


SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    ANYTHING
    | st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", "string", "integer", ["null"], "strin"]),
            "$ref": st.sampled_from(["#", "#/properties/a", "https://example.org", "#/x"]),
            "minimum": st.integers(-3, 3),
            "pattern": st.text(max_size=3),
            "$schema": st.text(max_size=3),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from(["a", "b", "kind"]), inner),
            "items": inner,
            "allOf": st.lists(inner, max_size=2),
            "anyOf": st.lists(inner, max_size=2),
            "examples": st.lists(inner, max_size=2),
            "required": st.lists(st.sampled_from(["a", "kind"]), max_size=2),
            "additionalProperties": inner,
        },
    ),
    max_leaves=8,
)


@given(SCHEMAS, ANYTHING)
def test_whatever_a_project_writes_is_refused_or_has_an_example_that_is_accepted(
    schema: Any, value: Any
) -> None:
    try:
        text = json.dumps({"kind": "a.b", "schema": schema}, allow_nan=False)
    except ValueError:
        return
    try:
        own = own_contracts({"a.json": text})
    except Unreadable:
        return
    assert check("a.b", None, [contract("a.b", own).example], own)[1] == ()
    check("a.b", None, [{"a": value, "b": value}], own)
