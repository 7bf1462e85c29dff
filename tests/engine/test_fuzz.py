"""Broken and hostile specs, and hostile agents: a clear refusal or a clean result, and soon.

Every text goes the whole way: read, compiled, inspected, simulated, and played by an agent who does
what is asked. Nothing but `Unreadable` and `Uncompilable` may come of it.
"""

import copy
import gc
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.conftest import NOTES, asked, authored, call, go, request, taken, words
from tests.engine.playing import Play
from tests.engine.test_properties import documents
from worktrain.contracts.plan import Compiled
from worktrain.contracts.session import (
    AskModel,
    AskOperator,
    Finish,
    RunChildren,
    SessionOpened,
    SessionState,
    Started,
)
from worktrain.contracts.spec import Spec
from worktrain.contracts.turn import TextBlock
from worktrain.contracts.workspace import Limits
from worktrain.engine import prompt, templates
from worktrain.engine.compile import Around, Uncompilable, compile_spec
from worktrain.engine.inspect import faults
from worktrain.engine.parse import BYTES_MAX, Unreadable, read_spec
from worktrain.engine.simulate import simulate

FACTOR = 40 if os.environ.get("WORKTRAIN_LONG") else 1
CONFORMANCE = Path(__file__).parent.parent / "conformance"
LOOPS = 1_000_000
LOOPS_S = 0.014
"""Processor seconds that so many turns of an empty loop take on the machine where a second is meant
as one."""

ALONE = Around()

words()


@contextmanager
def within_a_second() -> Iterator[None]:
    """Of the processor, and of a machine that has nothing else to do: others may slow it down.

    Without garbage collection: it walks through all that the other tests of this process have left,
    which took as long again in a run of all of them.
    """
    gc.disable()
    began = time.process_time()
    try:
        yield
        took = time.process_time() - began
    finally:
        gc.enable()
    assert took <= 1 or took <= _slowness(), f"{took:.2f} s"


def _slowness() -> float:
    """How many times longer than usual this machine takes at present."""
    began = time.process_time()
    for _ in range(LOOPS):
        pass
    return (time.process_time() - began) / LOOPS_S


def through(text: str, around: Around = ALONE) -> Literal["unreadable", "uncompilable", "ran"]:
    """The whole way of a text; each refusal says something, in lines that a terminal can show."""
    try:
        spec, warnings = read_spec(text, "spec.yaml")
        made = compile_spec(spec, words(), around)
    except Unreadable as error:
        _told([str(one) for one in error.problems])
        return "unreadable"
    except Uncompilable as error:
        _told([one.message for one in error.faults])
        return "uncompilable"
    _told([str(one) for one in warnings])
    _foreseen(spec, made)
    return "ran"


def _foreseen(spec: Spec, made: Compiled) -> None:
    _told([one.message for one in faults(spec, made.plan)])
    simulate(made.plan)
    assert Compiled.model_validate_json(made.model_dump_json()) == made


def _told(lines: list[str]) -> None:
    for line in lines:
        assert line.strip()
        assert "\x1b" not in line
        line.encode()


# --- documents that are made to do harm -------------------------------------------------------

HEAD = "id: sample\nname: Sample\ndescription: A sample.\nversion: 1.0.0\n"
NAMED = {"id": "sample", "name": "Sample", "description": "A sample.", "version": "1.0.0"}
STEP = {"id": "first-step", "title": "First", "prompt": "Do it."}


def with_steps(*steps: Any, **changes: Any) -> str:
    return json.dumps({**NAMED, **changes, "steps": list(steps)})


def with_condition(condition: Any) -> str:
    return with_steps({**STEP, "runCondition": condition})


def nested(depth: int) -> Any:
    condition: Any = {"var": "a"}
    for _ in range(depth):
        condition = {"not": condition}
    return condition


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return HEAD + "\n".join(lines) + "\nsteps: [*a1]\n"


def deep(opening: str, closing: str, depth: int = 100_000) -> str:
    return opening * depth + closing * depth


HOSTILE: dict[str, Callable[[], str]] = {
    "nothing": lambda: "",
    "a comment": lambda: "# nothing",
    "a list": lambda: "[1, 2]",
    "a number": lambda: "9" * 5_000,
    "a text": lambda: "x" * (BYTES_MAX - 1),
    "many words": lambda: "id: " + "x " * (BYTES_MAX // 2 - 10),
    "many quotes": lambda: "id: " + "''" * (BYTES_MAX // 2 - 10),
    "many lines": lambda: "id: |\n" + "  x\n" * (BYTES_MAX // 4 - 10),
    "ten megabytes": lambda: HEAD + "about: " + "x" * 10_000_000,
    "ten megabytes of brackets": lambda: deep("[", "]", 5_000_000),
    "lists in lists": lambda: deep("[", "]"),
    "objects in objects": lambda: deep('{"a":', "}"),
    "brackets that never end": lambda: "[" * 100_000,
    "indented without end": lambda: "".join(f"{' ' * n}a:\n" for n in range(700)),
    "dashes without end": lambda: "- " * 50_000 + "x",
    "many keys": lambda: "".join(f"k{n}: 1\n" for n in range(50_000)),
    "many wrong steps": lambda: with_steps(*[1] * 7_000),
    "many empty steps": lambda: with_steps(*[{}] * 7_000),
    "many steps that lack something": lambda: with_steps(*[{"id": "a-b-c"}] * 2_500),
    "the same key again": lambda: HEAD + "id: again\n" * 2_000,
    "aliases that unfold": lambda: bomb(12),
    "an alias of itself": lambda: HEAD + "steps: &a [*a]\n",
    "a step that is its own body": lambda: HEAD + "steps: [&a {id: one, body: *a}]\n",
    "merge keys": lambda: HEAD + "base: &b {id: x}\nsteps: [{<<: *b}]\n",
    "a tag that runs code": lambda: HEAD + "steps: !!python/object/apply:os.system ['true']\n",
    "a tag of a type": lambda: HEAD + "steps: !!set {a, b}\n",
    "a version of YAML that there is not": lambda: f"%YAML 9{'9' * 5_000}.1\n---\na: 1",
    "several documents": lambda: f"{HEAD}---\n{HEAD}",
    "an escape beyond all": lambda: 'id: "\\U00110000"',
    "half a character": lambda: HEAD + 'about: "\\ud800"\nsteps: []',
    "half a character, raw": lambda: HEAD + "about: \ud800\nsteps: []",
    "NUL": lambda: with_steps({**STEP, "prompt": "a\0b"}),
    "NUL, raw": lambda: HEAD + "about: a\0b",
    "bell and escape": lambda: with_steps({**STEP, "title": "\x07\x1b[2J"}),
    "a byte order mark": lambda: "\ufeff" + with_steps(STEP),
    "line ends of every kind": lambda: with_steps(STEP).replace(",", ",\r\n\x85\u2028"),
    "a number beyond all": lambda: with_steps(STEP, validatedAgainstSpecVersion=10**400),
    "an exponent beyond all": lambda: HEAD + "validatedAgainstSpecVersion: 1e999999999\nsteps: []",
    "infinite": lambda: with_condition({"var": "a", "gt": float("inf")}),
    "no number": lambda: with_condition({"var": "a", "lt": float("nan")}),
    "huge passes": lambda: with_steps(
        {**loop_of(STEP), "loop": {"type": "for", "count": 10**30, "maxIterations": 10**30}}
    ),
    "right to left": lambda: with_steps({**STEP, "title": "\u202eevil\u202c", "id": "\u202eabc"}),
    "zero width": lambda: with_steps(STEP, {**STEP, "id": "first\u200b-step"}),
    "homoglyphs": lambda: with_steps(STEP, {**STEP, "id": "f\u0456rst-step"}),
    "full width digits": lambda: with_steps(STEP, version="\uff11.0.0"),
    "a key with zero width": lambda: json.dumps({**NAMED, "steps\u200b": [STEP]}),
    "a key of a prototype": lambda: with_steps({**STEP, "__proto__": {"a": 1}}),
    "a variable of a prototype": lambda: with_steps({**STEP, "gives": {"__proto__": "string"}}),
    "a condition that is deep": lambda: with_condition(nested(50)),
    "a condition that is too deep": lambda: with_condition(nested(300)),
    "a condition that is wide": lambda: with_condition({"or": [{"var": "a"}] * 3_000}),
    "a path that is long": lambda: with_condition({"var": ".".join("a" * 100)}),
    "a path without end": lambda: with_condition({"var": "." * 256}),
    "a path in a text without end": lambda: with_steps({**STEP, "prompt": "{{" + "a." * 4_000}),
    "braces without end": lambda: with_steps({**STEP, "prompt": "{" * 8_000}),
    "functions of functions": lambda: with_steps(
        {**STEP, "prompt": "a() " * 1_000},
        functionDefinitions=[{"name": "a", "definition": "a() " * 1_000}],
    ),
    "a loop that is its own body": lambda: with_steps({**loop_of(STEP), "body": "around"}),
    "loops that are each other's body": lambda: with_steps(
        {**loop_of(STEP), "id": "one-loop", "body": "two-loop"},
        {**loop_of(STEP), "id": "two-loop", "body": "one-loop"},
    ),
    "a loop in a loop": lambda: with_steps(loop_of({**loop_of(STEP), "id": "inner"})),
    "a jump to itself": lambda: with_steps(jumping("first-step", 1)),
    "jumps everywhere": lambda: with_steps(
        *[jumping(f"step-{n}", 7 * n % 150) for n in range(150)]
    ),
    "jumps in loops": lambda: with_steps(
        loop_of(*[jumping(f"step-{n}", 7 * n % 100) for n in range(100)])
    ),
    "many conditions": lambda: with_steps(
        *[
            {**STEP, "id": f"step-{n}", "runCondition": {"var": f"v{n % 40}", "equals": n}}
            for n in range(300)
        ]
    ),
    "many different conditions": lambda: with_steps(
        *[{**STEP, "id": f"step-{n}", "runCondition": {"var": f"v{n}"}} for n in range(300)]
    ),
    "many sessions": lambda: with_steps(
        *[
            {
                "id": f"step-{n}",
                "title": "Ask",
                "type": "parallel",
                "parallelDelegations": [
                    {"workflowId": "x", "goal": "y", "runCondition": {"var": f"v{n}_{m}"}}
                    for m in range(20)
                ],
                "synthesis": {"prompt": "Together."},
            }
            for n in range(25)
        ]
    ),
    "a routine that is not there": lambda: with_steps(
        {"id": "first-step", "title": "First", "templateCall": {"templateId": "../../etc/passwd"}}
    ),
    "a schema that refers outside": lambda: with_steps(
        {**STEP, "gives": {"a": {"$ref": "http://127.0.0.1:9/schema.json"}}}
    ),
    "a schema that refers to itself": lambda: with_steps({**STEP, "gives": {"a": {"$ref": "#"}}}),
    "a schema that unfolds": lambda: with_steps({**STEP, "gives": {"a": unfolding()}}),
}
MAY_RUN = {
    "a byte order mark",
    "homoglyphs",
    "line ends of every kind",
    "a condition that is wide",
    "a path that is long",
    "a path without end",
    "a path in a text without end",
    "braces without end",
    "functions of functions",
    "a jump to itself",
    "jumps everywhere",
    "jumps in loops",
    "many conditions",
    "many different conditions",
    "many sessions",
    "bell and escape",
    "full width digits",
    "a schema that refers to itself",
    "a schema that unfolds",
    "NUL",
}
"""What is odd and no mistake of form."""


def loop_of(*body: dict[str, Any]) -> dict[str, Any]:
    rules = {"type": "for", "count": 2, "maxIterations": 2}
    return {"id": "around", "title": "Around", "type": "loop", "loop": rules, "body": list(body)}


def jumping(name: str, to: int) -> dict[str, Any]:
    target = "first-step" if name == "first-step" else f"step-{to}"
    when = {"var": f"v{to % 30}", "equals": to}
    return {**STEP, "id": name, "jumpIf": [{"condition": when, "to": target, "maxJumps": 3}]}


def unfolding() -> Any:
    """A small schema that means a very large one."""
    made: dict[str, Any] = {"a0": {"type": "string"}}
    for n in range(1, 30):
        made[f"a{n}"] = {"allOf": [{"$ref": f"#/$defs/a{n - 1}"}] * 4}
    return {"$defs": made, "$ref": "#/$defs/a29"}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_is_refused_or_harmless_within_a_second(name: str) -> None:
    text = HOSTILE[name]()
    with within_a_second():
        came = through(text)
    assert came != "ran" or name in MAY_RUN


PATTERNS = (
    "(a+)+$",
    "(a|a)*b",
    "((a*)*)*" * 20,
    "(x{1000}){1000}",
    "(?:a?){200}a{200}",
    "[" * 200,
    "(?<!a)b",
    "(a)\\1",
    "\\p{L}{900}",
    "(" * 250,
    "a{999999999}",
    "(?P<n>a)(?P<n>b)",
    "\0",
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_pattern_takes_long_wherever_it_stands(pattern: str) -> None:
    rule = {"type": "regex", "pattern": pattern, "message": "Say it."}
    step = {
        **STEP,
        "runCondition": {"not": {"and": [{"var": "goal", "matches": pattern}, {"var": "no"}]}},
        "validationCriteria": {"and": [{"not": rule}, {"or": [rule, rule]}]},
        "contextGather": [{"variable": "found", "taskUrl": pattern[:256]}],
        "gives": {"given": {"type": "string", "pattern": pattern}},
    }
    with within_a_second():
        came = through(with_steps(step))
    if came == "ran":
        made = compile_spec(authored(step), words())
        says = {"notes": "a" * 4_000, "context": {"given": "a" * 4_000}}
        play = Play(made.plan, says={"first-step": says}, context={"goal": "a" * 9_000})
        with within_a_second():
            assert play.run().why


# --- texts that look like templates ------------------------------------------------------------

INJECTIONS = (
    "{{ 7 * 7 }}",
    "{% for x in range(999999999) %}x{% endfor %}",
    "{# hidden #}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ config }}",
    "{{ goal | upper }}",
    "{{ self._TemplateReference__context }}",
    "{{{{goal}}}}",
    "{{ }}",
    "{{",
    "}}",
    "{%",
    "%}",
    "{{'}}'}}",
    "${7*7}",
    "<%= 7*7 %>",
    "{goal.__class__}",
    "%(goal)s",
    "{0}",
    "\\{{goal}}",
    "{{goal.__class__}}",
    "{{__proto__.x}}",
)


def everything(text: str) -> dict[str, Any]:
    """A spec with a text in each place that has one."""
    rule = {"type": "contains", "value": "x", "message": text}
    # A system prompt has to stay the same bytes, so no variable may stand there.
    steady = "Plain." if templates.reads(text) else text
    return {
        **NAMED,
        "name": text[:128],
        "description": text,
        "preconditions": [text],
        "clarificationPrompts": [text],
        "metaGuidance": [text],
        "about": text,
        "systemPrompt": steady,
        "tags": [text],
        "features": ["wr.features.memory_context"],
        "references": [{"id": "one", "title": text, "source": text, "purpose": text}],
        "assessments": [
            {
                "id": "quality",
                "purpose": text,
                "dimensions": [{"id": "rating", "purpose": text, "levels": ["low", text + "!"]}],
            }
        ],
        "functionDefinitions": [{"name": "told", "definition": text}],
        "steps": [
            {
                "id": "first-step",
                "title": text[:128],
                "prompt": f"told() {text}",
                "agentRole": text * 10,
                "guidance": [text],
                "systemPrompt": steady,
                "promptFragments": [{"id": "more", "text": text}],
                "validationCriteria": {"not": rule},
                "assessmentRefs": ["quality"],
                "assessmentConsequences": [
                    {
                        "when": {"anyEqualsLevel": "low"},
                        "effect": {"kind": "require_redo", "guidance": text, "recipe": [text]},
                    }
                ],
                "verification": {"command": text, "prompt": text},
                "audit": {"prompt": text, "rubric": [text]},
                "questions": [{"id": "told", "text": text}],
                "todoList": [text],
                "requireConfirmation": {"kind": "human_approval", "condition": {"var": text}},
                "gives": {"given": {"type": "string", "description": text}},
            },
            {
                "id": "second-step",
                "title": text[:128],
                "promptBlocks": {
                    "goal": [{"kind": "text", "text": text}],
                    "constraints": [text],
                    "procedure": [text],
                    "outputRequired": {"it": text},
                    "verify": [text],
                },
            },
            {
                "id": "ask-others",
                "title": text[:128],
                "type": "parallel",
                "parallelDelegations": [{"workflowId": text, "goal": text, "args": {"a": text}}],
                "synthesis": {"prompt": text},
            },
        ],
    }


@pytest.mark.parametrize("text", INJECTIONS)
def test_what_looks_like_a_template_is_said_as_it_stands_and_never_run(text: str) -> None:
    document = json.dumps(everything(text))
    with within_a_second():
        assert through(document) == "ran"
    made = compile_spec(read_spec(document, "spec.json")[0], words())
    play = Play(
        made.plan, says={"first-step": {"notes": "It was done as it was wanted, whatever."}}
    )
    play.limits = Limits(notes_chars_min=0)
    with within_a_second():
        play.run()
    assert [one for one in play.way if one[0] != "="][-1] == "ask-others__synthesis"
    shown = text.replace("{{goal}}", "Login fails")
    for one in play.prompts:
        (block,) = prompt.said((one,), made.script, None, {}).blocks
        assert isinstance(block, TextBlock)
        assert shown in block.text or "[unset:" in block.text
        assert "49" not in block.text
        assert "<class" not in block.text


VALUES = (
    "{{goal}}",
    "{{secret}}",
    "{% raw %}",
    "{{ 7*7 }}",
    "[unset: x]",
    "wr.refs.x",
    "{{wr.refs.memory_usage}}",
)


@pytest.mark.parametrize("value", VALUES)
def test_a_variable_is_never_read_as_a_template_again(value: str) -> None:
    plan_of = compile_spec(
        authored({"id": "first-step", "prompt": "Told: {{told}}; {{told.x}}; {{secret}}"}), words()
    )
    play = Play(plan_of.plan, context={"told": value, "secret": "{{told}}"})
    play.run()
    (block,) = prompt.said((play.prompts[0],), plan_of.script, None, {}).blocks
    assert isinstance(block, TextBlock)
    assert f"Told: {value}; [unset: told.x (told is a string)]; {{{{told}}}}" in block.text


# --- specs that are nearly right ----------------------------------------------------------------


@cache
def written() -> tuple[Any, ...]:
    """Every spec of the conformance suite, as data."""
    files = sorted(CONFORMANCE.glob("*/*"))
    texts = [
        one.read_text(encoding="utf-8")
        for one in files
        if one.suffix in (".yaml", ".json") and one.stem != "traversals"
    ]
    return tuple(yaml.safe_load(text.replace("\t", " ")) for text in texts)


@cache
def routines() -> dict[str, Spec]:
    found = sorted(CONFORMANCE.glob("routines/routine-*.yaml"))
    made = [read_spec(one.read_text(encoding="utf-8"), one.name)[0] for one in found]
    return {one.id: one for one in made}


ODD: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        [
            None,
            True,
            False,
            0,
            -1,
            1e308,
            10**30,
            "",
            " ",
            "x",
            "\0",
            "\u202e",
            "\u200b",
            "{{x}}",
            "{x}",
            "{{wr.refs.x}}",
            "first-step",
            "x" * 300,
            "a.b.c",
            "0",
            "wr.contracts.x",
            "wr.contracts.loop_control",
            [],
            {},
            [[]],
            [None],
            {"": ""},
            {"var": ""},
            {"and": []},
            {"type": "string"},
            {"kind": "ref", "refId": "x"},
            {"$ref": "#/x"},
            [1, "x", None, {}],
        ]
    ),
    st.text(max_size=8),
    st.integers(-(10**9), 10**9),
)
KEYS = (
    "id",
    "type",
    "loop",
    "body",
    "steps",
    "runCondition",
    "var",
    "and",
    "not",
    "prompt",
    "promptBlocks",
    "templateCall",
    "outputContract",
    "assessmentRefs",
    "requireConfirmation",
    "jumpIf",
    "needs",
    "gives",
    "questions",
    "parallelDelegations",
    "synthesis",
    "forEach",
    "validationCriteria",
    "schemaVersion",
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, one in inner:
        yield from places(one, (*path, key))


def values(value: Any) -> Iterator[Any]:
    yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from values(one)


WAYS = ("like", "like", "like", "like", "like", "put", "drop", "rename", "double", "move")


@st.composite
def mutated(draw: st.DrawFn, specs: st.SearchStrategy[Any]) -> Any:
    """A valid spec in which one to three things are not as they were."""
    made = copy.deepcopy(draw(specs))
    for _ in range(draw(st.integers(1, 3))):
        *above, last = draw(st.sampled_from([*places(made)][1:] or [("id",)]))
        owner = made
        for key in above:
            owner = owner[key]
        match draw(st.sampled_from(WAYS)):
            case "like":
                alike = [one for one in values(made) if type(one) is type(owner[last])]
                owner[last] = copy.deepcopy(draw(st.sampled_from(alike)))
            case "put":
                owner[last] = copy.deepcopy(draw(ODD))
            case "drop":
                del owner[last]
            case "rename" if isinstance(owner, dict):
                owner[draw(st.sampled_from(KEYS))] = owner.pop(last)
            case "double" if isinstance(owner, list):
                owner.insert(0, copy.deepcopy(owner[last]))
            case "move":
                owner[last] = copy.deepcopy(made)
        if not isinstance(made, dict):
            break
    return made


def go_on_anyhow(document: Any) -> None:
    text = json.dumps(document)
    with within_a_second():
        came = through(text, Around(routines=routines()))
    if came == "ran":
        spec, _ = read_spec(text, "spec.json")
        plan = compile_spec(spec, words(), Around(routines=routines())).plan
        with within_a_second():
            assert Play(plan, limits=Limits(turns_max=30)).run().why


@settings(max_examples=120 * FACTOR)
@given(mutated(st.sampled_from(written())))
def test_a_spec_that_is_nearly_right_is_refused_or_runs(document: Any) -> None:
    go_on_anyhow(document)


@settings(max_examples=40 * FACTOR)
@given(mutated(documents()))
def test_a_random_spec_that_is_nearly_right_is_refused_or_runs(document: Any) -> None:
    go_on_anyhow(document)


# --- agents that are made to do harm --------------------------------------------------------------


def deep_value(depth: int) -> Any:
    made: Any = "x"
    for _ in range(depth):
        made = [made]
    return made


HARM: dict[str, Callable[[], Any]] = {
    "deep": lambda: deep_value(150),
    "wide": lambda: ["x"] * 20_000,
    "long": lambda: "x" * 200_000,
    "no number": lambda: float("nan"),
    "a large number": lambda: 10**4_000,
    "half a character": lambda: "\ud800",
    "a key of half a character": lambda: {"\udfff": 1},
    "a hidden text": lambda: "\u202e\u200b\0\x1b[2J",
    "a template": lambda: "{{goal}}{% for x in y %}{{ ''.__class__ }}",
    "a pattern": lambda: "(a+)+$" * 30,
    "nothing": lambda: None,
    "an object": lambda: {"kind": "wr.triage", "__proto__": {"a": 1}},
    "a list": lambda: [[], {}, None],
    "true": lambda: True,
}
JUDGED = {
    "id": "first-step",
    "prompt": "{{told}} {{told.x}}",
    "outputContract": {"contractRef": "wr.contracts.triage"},
    "assessmentRefs": ["quality"],
    "gives": {"told": {"anyOf": [{"type": "string", "pattern": "^x"}, {"uniqueItems": True}]}},
    "validationCriteria": {"type": "schema", "message": "JSON.", "schema": {"type": "object"}},
    "requireConfirmation": {"var": "told", "matches": "^(x+)+$"},
    "jumpIf": [{"condition": {"var": "told", "contains": "x"}, "to": "first-step", "maxJumps": 2}],
}
QUALITY = {
    "id": "quality",
    "purpose": "How good.",
    "dimensions": [{"id": "rating", "purpose": "It.", "levels": ["low", "high"]}],
}


def agents(value: Any) -> dict[str, dict[str, Any]]:
    """Calls that carry a value wherever one can be carried."""
    triage = {
        "kind": "wr.triage",
        "subject": "issue",
        "assessment": "real",
        "severity": "nit",
        "summary": "It is so.",
        "nextStep": "Nothing.",
    }
    good = {"kind": "wr.assessment", "assessmentId": "quality", "dimensions": {"rating": "high"}}
    claims = {
        "notes": {"notes": value},
        "artifacts": {"artifacts": value},
        "an artifact": {"artifacts": [value]},
        "a kind": {"artifacts": [{**triage, "kind": value}]},
        "a field": {"artifacts": [{**triage, "summary": value}, good]},
        "an unknown field": {"artifacts": [{**triage, "evidence": [value], "x": value}, good]},
        "a level": {"artifacts": [triage, {**good, "dimensions": {"rating": value}}]},
        "a dimension": {"artifacts": [triage, {**good, "dimensions": {str(value)[:99]: "low"}}]},
        "a variable": {"context": {"told": value}, "artifacts": [triage, good]},
        "other variables": {"context": {"told": "x", "assessments": value, "goal": value}},
        "context": {"context": value},
        "todo": {"todo": [{"item": value, "done": value, "reason": value}]},
        "an unknown key": {"surprise": value},
    }
    return {name: {"notes": '{"a": "' + NOTES + '"}', **claim} for name, claim in claims.items()}


@cache
def judged_plan() -> Compiled:
    return compile_spec(authored(JUDGED, {"id": "second-step"}, assessments=[QUALITY]), words())


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("where", agents(None))
def test_whatever_a_claim_carries_it_is_accepted_or_refused_with_a_reason(
    harm: str, where: str
) -> None:
    made = judged_plan()
    opened = SessionOpened(plan=made.plan, script="s" * 64, context="c" * 64)
    now, _ = go(SessionState(request=request(), opened=opened), Started())
    claim = agents(HARM[harm]())[where]
    with within_a_second():
        now, command = go(now, taken(call("complete_step", "c1", **claim)))
        written_state = now.model_dump_json()
        command.model_dump_json()
    assert SessionState.model_validate_json(written_state).model_dump_json() == written_state
    if isinstance(command, AskModel):
        message = prompt.said(asked(command).say, made.script, None, {})
        message.model_dump_json()
    else:
        assert isinstance(command, RunChildren | Finish)


@pytest.mark.parametrize("harm", HARM)
def test_whatever_other_calls_carry_they_are_answered(harm: str) -> None:
    made = judged_plan()
    opened = SessionOpened(plan=made.plan, script="s" * 64, context="c" * 64)
    before, _ = go(SessionState(request=request(), opened=opened), Started())
    value = HARM[harm]()
    for name, arguments in (
        (
            "report_issue",
            {"kind": "needs_human", "summary": value, "context": value, "options": value},
        ),
        ("report_issue", {"kind": value, "severity": value, "options": [value] * 20}),
        ("signal_coordinator", {"signalKind": "data_needed", "payload": value}),
        ("signal_coordinator", {"signalKind": value, "payload": {"a": value}}),
        ("spawn_agent", {"workflowId": value, "goal": value}),
        ("spawn_agent", {"workflowId": "x", "goal": "y", "context": {"a": value}}),
        ("spawn_agent", {"agents": value}),
        (str(value)[:50], {"a": value}),
    ):
        with within_a_second():
            now, command = go(before, taken(call(name, "c1", **arguments)))
        if isinstance(command, AskOperator):
            assert command.question.text.strip()
        if "half" not in harm:
            # The adapter of the model lets none of these through.
            now.model_dump_json()


# --- variables that are made to do harm -----------------------------------------------------------

ODD_OPERANDS: tuple[Any, ...] = ("x", 1, None, [], {})
ODD_STEPS: tuple[dict[str, Any], ...] = (
    {
        "id": "compare",
        "runCondition": {
            "or": [
                {"var": "told", op: one}
                for op in ("equals", "not_equals", "contains")
                for one in ODD_OPERANDS
            ]
        },
    },
    {"id": "match-it", "runCondition": {"var": "told", "matches": "^(x+)+$"}},
    {"id": "within", "runCondition": {"var": "told.0.x.1", "in": ["x", 1]}},
    {
        "id": "each",
        "type": "loop",
        "loop": {"type": "forEach", "items": "told", "maxIterations": 2},
        "runCondition": {"var": "told.0"},
        "body": [{"id": "take-it", "prompt": "{{currentItem}} {{currentIndex}}"}],
    },
    {
        "id": "many",
        "type": "loop",
        "loop": {"type": "for", "count": "told", "maxIterations": 2},
        "body": [{"id": "count-it", "prompt": "{{told}}"}],
    },
)


@pytest.mark.parametrize("harm", [one for one in HARM if "half" not in one and one != "no number"])
@pytest.mark.parametrize("step", ODD_STEPS, ids=[str(one["id"]) for one in ODD_STEPS])
def test_whatever_a_variable_is_a_session_ends_and_says_why(
    harm: str, step: dict[str, Any]
) -> None:
    made = compile_spec(authored(step, {"id": "last-step"}), words())
    play = Play(made.plan, context={"told": HARM[harm]()})
    with within_a_second():
        assert play.run().why
