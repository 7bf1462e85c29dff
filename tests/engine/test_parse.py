"""Authored YAML and JSON are read as they stand, or refused at the line that is wrong."""

import json
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from worktrain.contracts.artifact import CodingHandoff
from worktrain.contracts.base import Authored
from worktrain.contracts.spec import Condition, Spec, Step
from worktrain.contracts.workspace import WorkspaceConfig
from worktrain.engine.fault import Fault
from worktrain.engine.parse import (
    BYTES_MAX,
    DEPTH_MAX,
    NODES_MAX,
    Problem,
    Unreadable,
    located,
    read,
    read_spec,
)


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
    one, two = spec.steps
    assert isinstance(one, Step)
    assert isinstance(two, Step)
    assert one.prompt == "Write a test that fails.\nSay where.\n"
    assert two.title == "Repair it: käse ✓ 🚂"
    assert two.outputContract is not None


@pytest.mark.parametrize("indent", [None, 2, "\t"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_json_is_read_as_it_is_written(indent: int | str | None, ascii_only: bool) -> None:
    meant = read(SPEC, Spec, "fix.yaml")
    data = meant.model_dump(mode="json", by_alias=True, exclude_unset=True)
    text = json.dumps(data, indent=indent, ensure_ascii=ascii_only)
    assert read(text, Spec, "fix.json") == meant


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
    began = time.process_time()
    assert "2980 more" in problems("".join(f"k{n}: 1\n" for n in range(3_000)))[-1]
    assert time.process_time() - began < 3


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
    began = time.process_time()
    (said,) = problems("\n".join(lines))
    assert f"more than {NODES_MAX:,} values" in said
    assert time.process_time() - began < 3


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


# --- what the schema of a spec has against a document -----------------------------------------

HEAD = "id: fix\nname: Fix\ndescription: D.\nversion: 1.0.0\nsteps:\n"
LOOP = """\
  - id: again
    title: Again
    type: loop
    loop: {type: for, count: 2, maxIterations: 3}
    body:
      - {id: once, title: Once, prompt: Do it.}
"""


def spec_problems(steps: str) -> list[str]:
    return problems(HEAD + steps, Spec)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (
            "  - {id: one, title: One, prompt: x, type: paralel, parallelDelegations: []}",
            "f.yml:6:44: steps[0].type: 'standard', 'parallel' or 'loop' is wanted here; "
            "did you mean 'parallel'?",
        ),
        (
            "  - {id: one, title: One, prompt: x, type: xyzzy}",
            "f.yml:6:44: steps[0].type: 'standard', 'parallel' or 'loop' is wanted here",
        ),
        (
            "  - {id: one, titel: One, prompt: x}",
            'f.yml:6:5: steps[0]: key "title" is missing',
        ),
        (
            "  - {id: one, title: One, prompt: x, requireConfirmation: {var: a, condition: {}}}",
            'f.yml:6:68: unknown key "condition"; did you mean "contains"?',
        ),
        (
            "  - {id: one, title: One, prompt: x, requireConfirmation: {kind: human}}",
            "f.yml:6:66: steps[0].requireConfirmation.kind: 'coordinator_eval' or "
            "'human_approval' is wanted here; did you mean 'human_approval'?",
        ),
        (
            "  - {id: one, title: One, promptBlocks: {goal: [{kind: text, txt: x, text: y}]}}",
            'f.yml:6:62: unknown key "txt"; did you mean "text"?',
        ),
        (
            "  - {id: one, title: One, promptBlocks: {goal: [{kind: tekst, text: y}]}}",
            "f.yml:6:56: steps[0].promptBlocks.goal[0].kind: 'text' or 'ref' is wanted here; "
            "did you mean 'text'?",
        ),
        (
            "  - {id: one, title: One, promptBlocks: {goal: [{text: y}]}}",
            'f.yml:6:49: steps[0].promptBlocks.goal[0]: key "kind" is missing',
        ),
        (
            "  - {id: one, title: One, promptBlocks: {goal: 5}}",
            "f.yml:6:48: steps[0].promptBlocks.goal: a text or a list is wanted here; "
            "put it in quotes",
        ),
        (
            "  - {id: one, title: One, prompt: x, gives: {a: strin}}",
            "f.yml:6:49: steps[0].gives.a: 'string', 'number', 'integer', 'boolean', 'array' or "
            "'object' is wanted here; did you mean 'string'?",
        ),
        (
            "  - {id: one, title: One, prompt: x, gives: {a-b: string}}",
            "f.yml:6:46: steps[0].gives.a-b: string should match pattern "
            "'^[A-Za-z_][A-Za-z0-9_]*$'",
        ),
        (
            "  - {id: one, title: One, prompt: x, runCondition: {and: []}}",
            "f.yml:6:58: steps[0].runCondition.and: at least 1 entry is wanted here",
        ),
        (
            "  - {id: one, title: One, prompt: x, runCondition: {and: [{vr: a}]}}",
            'f.yml:6:60: unknown key "vr"; did you mean "var"?',
        ),
        (
            "  - {id: one, title: One, prompt: x, validationCriteria: {and: [{type: contain, "
            "message: m}]}}",
            "f.yml:6:72: steps[0].validationCriteria.and[0].type: 'contains', 'regex', 'length' "
            "or 'schema' is wanted here; did you mean 'contains'?",
        ),
        (
            LOOP.replace("id: once", "type: loop, id: once"),
            "f.yml:11:16: steps[0].body[0].type: 'standard' or 'parallel' is wanted here",
        ),
        (
            LOOP.replace("type: for,", "type: each,"),
            "f.yml:9:18: steps[0].loop.type: 'while', 'until', 'for' or 'forEach' is wanted here; "
            "did you mean 'forEach'?",
        ),
        (
            LOOP.replace("count: 2", "count: 5000"),
            "f.yml:9:30: steps[0].loop.count: input should be less than or equal to 1000",
        ),
        (
            LOOP.replace("    title: Again", "    title: 7"),
            "f.yml:7:12: steps[0].title: a text is wanted here; put it in quotes",
        ),
        (
            LOOP.replace("title: Once", "titel: Once, title: x"),
            'f.yml:11:20: unknown key "titel"; did you mean "title"?',
        ),
    ],
)
def test_a_union_is_told_as_what_was_meant(steps: str, said: str) -> None:
    assert said in spec_problems(steps)


@pytest.mark.parametrize(
    "steps",
    [
        "  - {id: one, title: One, prompt: x, type: 7}",
        "  - {id: one, title: One, prompt: x, type: null}",
        "  - {id: one, title: One, promptBlocks: {goal: [{kind: text}, 5, {kind: x}]}}",
        "  - {id: one, title: One, prompt: x, gives: {a: 7, b: [x]}, needs: 5}",
        "  - {id: one, title: One, prompt: x, requireConfirmation: 7, runCondition: [x]}",
        "  - {id: one, title: One, prompt: x, requireConfirmation: {kind: 7}}",
        LOOP.replace("type: for", "type: [for]"),
        LOOP.replace("    body:\n      - ", "    body: "),
        "  - 7\n  - [x]\n  - null\n",
        "  one: two\n",
    ],
)
def test_no_message_names_what_only_the_program_knows(steps: str) -> None:
    said = "\n".join(spec_problems(steps))
    for word in ("_form", "_is_rule", "tag", "discriminator", "tuple", "dict", "Input", "pydantic"):
        assert word not in said


def test_a_list_with_a_wrong_entry_is_not_called_too_short() -> None:
    assert spec_problems("  - {id: one, title: One, prompt: x, promt: y}\n") == [
        'f.yml:6:38: unknown key "promt"; did you mean "prompt"?'
    ]
    (said,) = problems(HEAD.replace("steps:\n", "steps: []\n"), Spec)
    assert said == "f.yml:5:8: steps: at least 1 entry is wanted here"


def test_a_wrong_type_hides_what_only_follows_from_it() -> None:
    (said,) = spec_problems("  - {id: p-1, title: P, type: paralell, parallelDelegations: [x]}\n")
    assert said.endswith("did you mean 'parallel'?")


def test_a_problem_names_its_rule() -> None:
    with pytest.raises(Unreadable) as caught:
        read(HEAD + "  - {id: one, titel: One, prompt: 5}\n", Spec, "f.yml")
    assert [one.rule for one in caught.value.problems] == [
        "missing-key",
        "unknown-key",
        "wrong-type",
    ]
    assert {one.level for one in caught.value.problems} == {"error"}


# --- faults of the compiler, in the text -------------------------------------------------------


def test_a_fault_is_told_where_it_was_written_or_at_the_nearest_place_above() -> None:
    faults = [
        Fault(path=("steps", 1, "outputContract", "contractRef"), rule="b", message="there"),
        Fault(path=("steps", 0, "loop", "items", 3), rule="a", message="above", level="warning"),
        Fault(path=(), rule="c", message="all"),
    ]
    assert located(SPEC, "f.yml", faults) == (
        Problem(file="f.yml", line=1, column=1, message="all", rule="c"),
        Problem(file="f.yml", line=6, column=5, message="above", rule="a", level="warning"),
        Problem(file="f.yml", line=14, column=35, message="there", rule="b"),
    )
    assert str(located(SPEC, "f.yml", faults)[1]) == "f.yml:6:5: warning: above"


def test_faults_of_a_text_that_is_none_are_refused_like_the_text() -> None:
    with pytest.raises(Unreadable):
        located("a: [", "f.yml", [Fault(path=(), rule="r", message="m")])


# --- versions of the schema ---------------------------------------------------------------------

NEW = """\
    outputContract: {contractRef: wr.contracts.coding_handoff}
    promptFragments: [{id: f, text: t}]
    verification: {command: make test}
"""


def test_a_spec_without_a_version_and_one_of_the_present_are_read_as_written() -> None:
    for line in ("", "schemaVersion: 0.3.0\n", "schemaVersion: 0.3.9\n"):
        spec, warnings = read_spec(line + SPEC + NEW.splitlines()[1] + "\n", "f.yml")
        assert spec.id == "fix"
        assert warnings == ()
        with pytest.raises(Unreadable, match="unknown key"):
            read_spec(line + SPEC + "tgas: [x]\n", "f.yml")


def test_a_newer_spec_is_read_and_every_key_that_is_left_out_is_a_warning() -> None:
    text = "schemaVersion: 0.4.0\n" + SPEC.replace("title: Repro", "mood: calm\n    title: Repro")
    spec, warnings = read_spec(text + "    budget: 5\norigin: here\n", "f.yml")
    assert spec.steps[0].title == "Reproduce it"
    assert [str(one) for one in warnings] == [
        "f.yml:1:16: warning: written for a newer schema than 0.3.0, the one known here",
        'f.yml:8:5: warning: key "mood" is not known here and is left out',
        'f.yml:17:5: warning: key "budget" is not known here and is left out',
        'f.yml:18:1: warning: key "origin" is not known here and is left out',
    ]


def test_a_version_of_any_size_is_compared() -> None:
    for version in ("0.4.0", "1.0.0", "99999999999.0.0", "9" * 5_000 + ".0.0"):
        assert len(read_spec(f"schemaVersion: {version}\n" + SPEC, "f.yml")[1]) == 1


def test_a_newer_spec_is_refused_for_everything_but_unknown_keys() -> None:
    with pytest.raises(Unreadable) as caught:
        read_spec("schemaVersion: 1.0.0\nmood: calm\n" + HEAD + "  - {id: one, title: 5}", "f.yml")
    assert [one.rule for one in caught.value.problems] == ["wrong-type"]


def test_an_older_spec_may_have_nothing_that_came_later() -> None:
    with pytest.raises(Unreadable) as caught:
        read_spec("schemaVersion: 0.1.0\n" + SPEC + NEW.replace("    outputC", "    # "), "f.yml")
    assert str(caught.value).splitlines() == [
        "f.yml:15:21: `outputContract` came with schema 0.2.0; write `schemaVersion: 0.2.0`",
        "f.yml:17:22: `promptFragments` came with schema 0.3.0; write `schemaVersion: 0.3.0`",
        "f.yml:18:19: `verification` came with schema 0.3.0; write `schemaVersion: 0.3.0`",
    ]
    with pytest.raises(Unreadable) as caught:
        read_spec("schemaVersion: 0.2.4\n" + SPEC + NEW.replace("    outputC", "    # "), "f.yml")
    assert [one.rule for one in caught.value.problems] == ["later-field", "later-field"]
    assert read_spec("schemaVersion: 0.2.0\n" + SPEC, "f.yml")[1] == ()


def test_what_came_later_is_found_in_the_body_of_a_loop() -> None:
    text = "schemaVersion: 0.2.0\n" + HEAD + LOOP.replace("prompt: Do it.", "prompt: x, audit: {}")
    with pytest.raises(Unreadable, match=r"f.yml:12:\d+: `audit` came with schema 0.3.0"):
        read_spec(text, "f.yml")


def test_the_oldest_specs_need_no_version_of_their_own() -> None:
    text = SPEC.replace("version: 1.0.0\n", "").rsplit("\n", 2)[0] + "\n"
    assert read_spec("schemaVersion: 0.1.2\n" + text, "f.yml")[0].version == "0.0.1"
    for line in ("", "schemaVersion: 0.2.0\n"):
        with pytest.raises(Unreadable, match='key "version" is missing'):
            read_spec(line + text, "f.yml")


@pytest.mark.parametrize("said", ["0.3", "x", "'0.3'", "[0, 3, 0]"])
def test_what_is_no_version_is_refused_at_its_place(said: str) -> None:
    with pytest.raises(Unreadable, match=r"f.yml:1:16: schemaVersion: "):
        read_spec(f"schemaVersion: {said}\n" + SPEC, "f.yml")


@pytest.mark.parametrize("text", ["", "7", "[1]", "schemaVersion: 0.1.0\nsteps: 5", "x: ["])
def test_what_is_no_spec_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        read_spec(text, "f.yml")


@pytest.mark.parametrize(
    "text",
    [
        "a" * 10_000_000,
        "[" * 200_000,
        "steps: " + "{and: [" * 5_000,
        "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*{'a' if n == 0 else f'b{n - 1}'}, "
                                   f"*{'a' if n == 0 else f'b{n - 1}'}]\n" for n in range(60)),
        "id: \u202eabc\u0000",
        HEAD + "  - {id: '\u0430bc', title: '\u200b', prompt: x}",
    ],
    ids=["long", "deep", "deep-conditions", "bomb", "controls", "homoglyph"],
)  # fmt: skip
def test_a_hostile_spec_is_answered_at_once(text: str) -> None:
    began = time.process_time()
    with pytest.raises(Unreadable):
        read_spec(text, "f.yml")
    assert time.process_time() - began < 2


# --- anything at all ----------------------------------------------------------------------------

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
    for model in (Anything, WorkspaceConfig, CodingHandoff, Spec):
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


def test_null_is_the_same_as_not_written_where_it_cannot_be_meant() -> None:
    condition = {"var": "x", "equals": None, "gt": None, "in": None, "and": None}
    written = {"id": "one", "title": "One", "prompt": "Go.", "promptBlocks": None}
    read_back = Step.model_validate({**written, "runCondition": condition})
    assert read_back.runCondition is not None
    assert read_back.runCondition.raw() == {"var": "x", "equals": None}
    with pytest.raises(ValidationError, match="a condition is one of"):
        Condition.model_validate({"var": None, "gt": 1})
    with pytest.raises(ValidationError, match="operators stand beside"):
        Condition.model_validate({"not": {"var": "x"}, "equals": None})
    with pytest.raises(ValidationError, match="exactly one of"):
        Step.model_validate({"id": "one", "title": "One", "prompt": None})
