"""Authored YAML and JSON are read as they stand, or refused at the line that is wrong."""

import json
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from worktrain.contracts.artifact import CodingHandoff
from worktrain.contracts.base import Authored
from worktrain.contracts.spec import Spec
from worktrain.contracts.workspace import WorkspaceConfig
from worktrain.engine.parse import BYTES_MAX, DEPTH_MAX, NODES_MAX, Unreadable, read


class Anything(Authored):
    """A document that is asked for nothing but to be one."""

    it: Any = None
    text: str = ""
    number: float = 0
    names: tuple[str, ...] = ()
    inner: "Anything | None" = None


SPEC = """\
id: fix
name: Fix
description: Repairs what a review found.
version: 1.0.0
steps:
  - id: reproduce
    title: Reproduce it
    prompt: |
      Write a test that fails.
      Say where.
  - id: repair
    title: "Repair it: käse ✓ 🚂"
    prompt: Do it.
    outputContract: {contractRef: wr.contracts.coding_handoff}
"""


def problems(text: str, model: type[Authored] = Anything) -> list[str]:
    with pytest.raises(Unreadable) as caught:
        read(text, model, "f.yml")
    return str(caught.value).splitlines()


def test_yaml_is_read_into_its_model() -> None:
    spec = read(SPEC, Spec, "fix.yaml")
    assert spec.version == "1.0.0"
    assert spec.steps[0].prompt == "Write a test that fails.\nSay where.\n"
    assert spec.steps[1].title == "Repair it: käse ✓ 🚂"
    assert spec.steps[1].outputContract is not None


@pytest.mark.parametrize("indent", [None, 2, "\t"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_json_is_read_as_it_is_written(indent: int | str | None, ascii_only: bool) -> None:
    data = read(SPEC, Spec, "fix.yaml").model_dump(mode="json")
    text = json.dumps(data, indent=indent, ensure_ascii=ascii_only)
    assert read(text, Spec, "fix.json").model_dump(mode="json") == data


@pytest.mark.parametrize("text", ["", "\n", "# all of it is commented out\n", "---\n"])
def test_an_empty_document_has_no_keys(text: str) -> None:
    assert read(text, WorkspaceConfig, "config.yml") == WorkspaceConfig()


def test_a_syntax_error_is_named_with_line_and_column() -> None:
    (said,) = problems("a: 1\nb: [1, 2\nc: 3\n")
    assert said.startswith("f.yml:3:")
    assert "flow sequence" in said


def test_an_unknown_key_names_its_line_and_the_nearest_known_key() -> None:
    assert problems("base: main\nmerge:\n  polcy: ask\n", WorkspaceConfig) == [
        'f.yml:3:3: unknown key "polcy"; did you mean "policy"?'
    ]


def test_an_unknown_key_in_a_list_of_steps_knows_the_keys_of_a_step() -> None:
    text = SPEC.replace("    title: Reproduce it", "    titel: Reproduce it")
    assert problems(text, Spec) == [
        'f.yml:6:5: steps[0]: key "title" is missing',
        'f.yml:7:5: unknown key "titel"; did you mean "title"?',
    ]


def test_an_unknown_key_that_resembles_nothing_is_told_what_is_known() -> None:
    (said,) = problems("sandbox: {xyzzy: 1}", WorkspaceConfig)
    assert said == 'f.yml:1:11: unknown key "xyzzy"; known here: kind, network, read'


def test_a_missing_key_is_told_at_the_start_of_what_misses_it() -> None:
    said = problems("verify:\n  - name: unit\n", WorkspaceConfig)
    assert said == ['f.yml:2:5: verify[0]: key "run" is missing']


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("base: 1.10", "f.yml:1:7: base: a text is wanted here; put it in quotes"),
        ("base: [a]", "f.yml:1:7: base: a text is wanted here"),
        (
            "limits: {turns_max: many}",
            "f.yml:1:21: limits.turns_max: a whole number is wanted here",
        ),
        ("sandbox:\n  network: yes", "f.yml:2:12: sandbox.network: true or false is wanted here"),
        ("verify: pytest", "f.yml:1:9: verify: a list is wanted here"),
        ("merge: auto", "f.yml:1:8: merge: a set of keys is wanted here"),
        ("- base", "f.yml:1:1: a set of keys is wanted here"),
    ],
)
def test_a_wrong_type_says_what_is_wanted(text: str, said: str) -> None:
    assert problems(text, WorkspaceConfig) == [said]


def test_a_text_that_is_too_long_says_how_long_it_may_be() -> None:
    (said,) = problems(SPEC.replace("name: Fix", "name: " + "x" * 129), Spec)
    assert said.startswith("f.yml:2:7: name: ")
    assert "128" in said


def test_a_choice_lists_what_may_be_chosen_and_not_what_was() -> None:
    (said,) = problems("sandbox: {kind: sk-ant-secret}", WorkspaceConfig)
    assert "'auto', 'bubblewrap', 'sandlock' or 'none'" in said
    assert "sk-ant" not in said


def test_every_problem_is_told_in_the_order_of_the_lines() -> None:
    said = problems(
        "merge: {passes_max: 99}\nlimits: {cost_usd_max: -1}\nbse: x\n", WorkspaceConfig
    )
    assert [line.split(":")[1] for line in said] == ["1", "2", "3"]


def test_a_flood_of_problems_is_cut_and_counted() -> None:
    said = problems("".join(f"k{n}: 1\n" for n in range(100)))
    assert len(said) == 21
    assert "80 more" in said[-1]


def test_a_key_that_stands_twice_names_both_lines() -> None:
    assert problems("text: a\nit: 1\ntext: b\n") == [
        'f.yml:3:1: key "text" stands here a second time; see line 1'
    ]
    assert problems('{"it": {"a": 1, "\\u0061": 2}}') == [
        'f.yml:1:17: key "a" stands here a second time; see line 1'
    ]


@pytest.mark.parametrize("key", ["1", "1.5", "true", "null", "~", "[a]", "{a: b}", "?"])
def test_a_key_that_is_no_text_is_refused(key: str) -> None:
    (said,) = problems(f"it:\n  {key} : x\n" if key != "?" else "it:\n  ? \n  : x\n")
    assert said.startswith("f.yml:2:")
    assert "a key has to be a text" in said


def test_an_empty_text_and_a_quoted_number_are_keys() -> None:
    assert read("it: {'': 1, '2': 3}", Anything, "f.yml").it == {"": 1, "2": 3}


@pytest.mark.parametrize(
    "text",
    [
        "it: !!python/object/apply:os.system [id]",
        "it: !x y",
        "!!map {it: 1}",
        "it: !!str 1",
        "it: ! 1",
    ],
)
def test_tags_are_refused(text: str) -> None:
    (said,) = problems(text)
    assert "tags" in said


def test_more_than_one_document_is_refused() -> None:
    (said,) = problems("it: 1\n---\nit: 2\n")
    assert said == "f.yml:2:1: expected a single document in the stream, but found another document"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-21", "2026-11-21"),
        ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00Z"),
        ("12:30:45", "12:30:45"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("=", "="),
        ("<<", "<<"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("010", 10),
        ("-7", -7),
        ("1e3", 1000.0),
        ("2.50", 2.5),
        ("True", True),
        ("null", None),
        ("~", None),
        ("", None),
        ('"\\ud83d\\ude82"', "🚂"),
    ],
)
def test_a_scalar_is_what_it_looks_like(written: str, meant: object) -> None:
    value = read(f"it: {written}\n", Anything, "f.yml").it
    assert value == meant
    assert type(value) is type(meant)


@pytest.mark.parametrize("text", ["it: 1e999", "it: -1e999", "it: " + "9" * 5000])
def test_a_number_beyond_all_bounds_is_refused(text: str) -> None:
    assert problems(text) == ["f.yml:1:5: this number is too large"]


@pytest.mark.parametrize(
    "text", ['it: "\\ud83d"', 'it: "\\UFFFFFFFF"', "it: a\x00b", "it: \ud83d", "it: \x1b[2J"]
)
def test_what_is_not_a_character_is_refused_where_it_stands(text: str) -> None:
    (said,) = problems(text)
    assert said.startswith("f.yml:1:")
    assert said.isprintable()


def test_an_alias_stands_for_what_it_names() -> None:
    text = "it: &a [1, 2]\ninner: {it: *a}\n"
    value = read(text, Anything, "f.yml")
    assert value.inner is not None
    assert value.inner.it == [1, 2]


def test_a_bomb_of_aliases_is_refused_at_once() -> None:
    lines = ["it:", "  a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    began = time.monotonic()
    (said,) = problems("\n".join(lines))
    assert f"more than {NODES_MAX:,} values" in said
    assert time.monotonic() - began < 3


def test_an_alias_of_what_it_stands_in_is_refused() -> None:
    (said,) = problems("it: &a [*a]")
    assert "levels deep" in said


def test_depth_is_limited_and_its_limit_is_allowed() -> None:
    inside = DEPTH_MAX - 2
    assert read(f"it: {'[' * inside}1{']' * inside}", Anything, "f.yml").it
    for depth in (inside + 1, 100_000):
        (said,) = problems(f"it: {'[' * depth}1{']' * depth}")
        assert f"more than {DEPTH_MAX} levels" in said


def test_a_text_that_is_too_long_or_too_rich_is_refused() -> None:
    assert problems("it: " + "x" * BYTES_MAX) == [f"f.yml:1:1: longer than {BYTES_MAX:,} bytes"]
    (said,) = problems("it: [" + "1," * (NODES_MAX + 1) + "]")
    assert f"more than {NODES_MAX:,} values" in said


def test_a_hostile_key_cannot_speak_to_the_terminal() -> None:
    (said,) = problems('"\\e[2J\\u202e' + "x" * 500 + '": 1')
    assert said.isprintable()
    assert len(said) < 200


SOUP = st.text(
    st.sampled_from("ab1.-:?,[]{}&*!|>'\"%@#~ \n\t\\uUx0e\ufeff\x85\ud800🚂<="), max_size=60
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=80), SOUP))
@example("%YAML 9" + "9" * 5000 + ".1\n---\na: 1")
@example('it: "\\U00110000"')
@example("? ? ? a")
@example("\ufeffit: 1")
def test_any_text_is_a_value_or_unreadable(text: str) -> None:
    for model in (Anything, WorkspaceConfig, CodingHandoff):
        error = refusal(text, model)
        if error is not None:
            assert error.problems
            assert all(p.line >= 1 and p.column >= 1 for p in error.problems)
            assert all(line.isprintable() for line in str(error).splitlines())


def refusal(text: str, model: type[Authored]) -> Unreadable | None:
    try:
        assert isinstance(read(text, model, "f.yml"), model)
    except Unreadable as error:
        return error
    return None


LEAF = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
TREE = st.recursive(
    LEAF, lambda t: st.lists(t, max_size=4) | st.dictionaries(st.text(max_size=8), t, max_size=4)
)


@settings(max_examples=200, deadline=None)
@given(TREE)
def test_any_json_is_read_back_as_it_was(tree: object) -> None:
    for indent in (None, 2):
        assert read(json.dumps({"it": tree}, indent=indent), Anything, "f.json").it == tree
