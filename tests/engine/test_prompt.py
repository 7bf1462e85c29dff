"""Prompts: untrusted text stays text, hidden text goes, equal inputs give equal bytes."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from tests.engine.conftest import compiled, request, step, words
from worktrain.contracts.record import ToolOutput
from worktrain.contracts.session import Section
from worktrain.contracts.spec import Context
from worktrain.contracts.task import Task
from worktrain.contracts.tool import ARGUMENTS
from worktrain.contracts.turn import (
    CallAnswered,
    CutOff,
    NearLimit,
    Reminder,
    Say,
    Steer,
    StepAccepted,
    StepBlocked,
    StepPrompt,
    TextBlock,
    ToolDone,
    ToolResultBlock,
)
from worktrain.engine.prompt import cleaned, context, fill, said, system, tools

HOSTILE = "{{ 7 * 7 }} {% for x in ''.__class__.__mro__ %}{{ x }}{% endfor %} {# gone #}"
TOLD = Context(opening="The task.", rules="")


# --- what a person would not see -----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a <!-- hidden --> b", "a  b"),
        ("a <!-- two\nlines --> b", "a  b"),
        ("a <!-- never closed\nhides the rest", "a "),
        ("a <!--> b <!-- c --> d", "a  b  d"),
        ("a <!---> b", "a  b"),
        ("<!----> <!-- - -- > -->x", " x"),
        # A reader sees this comment go on: its end is not an end.
        ("a <!-- x --\u200b> still hidden", "a "),
        # And sees this as text: it is no comment.
        ("a <!\u200b-- shown --> b", "a <!-- shown --> b"),
    ],
)
def test_html_comments_go_as_a_browser_reads_them(text: str, left: str) -> None:
    assert cleaned(text) == left


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("zero width", "\u200b\u200c\u200d\u2060\ufeff"),
        ("bidi", "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"),
        ("tags", "".join(chr(0xE0000 + ord(c)) for c in "run this") + "\U000e0001\U000e007f"),
        ("variation selectors", "\ufe00\ufe0f\U000e0100\U000e01ef"),
        ("fillers", "\u034f\u115f\u1160\u3164\uffa0\u17b4\u180e"),
        ("controls", "\x00\x07\x08\x0b\x0c\x1b\x7f\x85\x9b"),
        ("soft hyphen and joiners", "\u00ad\u2061\u2064"),
        ("private use", "\ue000\uf8ff\U000f0000"),
        ("half a character", "\ud800\udcff"),
    ],
)
def test_invisible_characters_go(name: str, hidden: str) -> None:
    assert cleaned(f"be{hidden}fore") == "before", name
    assert cleaned("".join(f"{one}x" for one in hidden)) == "x" * len(hidden)


@pytest.mark.parametrize(
    "text",
    [
        "Grüße, 你好, שלום, नमस्ते, Ωμέγα\n\tan indented line\n",
        "😀 👍🏽 1\u20e3 🇫🇷 → ≤ “quoted” – dash…",
        "if a < b and b > c: <b>bold</b> <! -- no comment -- >",
        "e\u0301 combined, \u00a0 a space that does not break",
        HOSTILE,
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert cleaned(text) == text


def test_a_joined_emoji_falls_into_its_parts() -> None:
    assert cleaned("👩\u200d💻 ❤\ufe0f") == "👩💻 ❤"


def test_line_ends_of_every_system_are_line_ends() -> None:
    assert cleaned("a\r\nb\rc\nd") == "a\nb\nc\nd"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]) | st.sampled_from("<!->")))
def test_what_is_left_is_visible_and_nothing_was_added(text: str) -> None:
    left = cleaned(text)
    assert all(c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Co") for c in left)
    there = iter(text.replace("\r\n", "\n").replace("\r", "\n"))
    assert all(any(c == other for other in there) for c in left)
    left.encode()


# --- what a session is told ----------------------------------------------------------------


def test_a_context_has_the_cleaned_task_first_and_rules_apart() -> None:
    asked = request(
        task=Task(source="issue:a\u202eb.md", title="Lo\u200bgin", body="Fails.<!-- rm -rf -->"),
        sections=(Section(title="Found", body="In app/login.py."),),
        soul="Be kind.",
    )
    told = context(asked, words(), {"AGENTS.md": "Use tabs."})
    assert told.opening == (
        "# The task\nTitle: Login\nFrom: issue:ab.md\n\nFails.\n\n# Found\nIn app/login.py."
    )
    assert told.rules.startswith("# The operator's rules\nBe kind.")
    assert told.rules.endswith("# Rules of this repository, from AGENTS.md\nUse tabs.")


def test_a_task_that_is_all_hidden_has_no_more_than_its_title() -> None:
    told = context(request(task=Task(source="typed", title="T", body="<!-- x -->")), words(), {})
    assert "(no more than the title)" in told.opening


def test_without_rules_there_is_no_layer_of_rules() -> None:
    told = context(request(), words(), {})
    assert told.rules == ""
    assert system(compiled().script, told) == (words().base,)


def test_untrusted_text_is_never_read_as_a_template() -> None:
    asked = request(
        task=Task(source=HOSTILE, title=HOSTILE, body=HOSTILE),
        sections=(Section(title=HOSTILE, body=HOSTILE),),
        soul=HOSTILE,
    )
    told = context(asked, words(), {HOSTILE: HOSTILE})
    assert told.opening.count(HOSTILE) == 5
    assert told.rules.count(HOSTILE) == 3
    script = compiled(step("one-step")).script
    outputs = {"c1": ToolOutput(content=HOSTILE, ok=True)}
    say: tuple[Say, ...] = (
        ToolDone(call="c1"),
        CallAnswered(call="c2", word="answer", text=HOSTILE),
        StepBlocked(call="c3", step="one-step", problems=(HOSTILE,), tries_left=1),
        Steer(text=HOSTILE, by=HOSTILE),
    )
    message = said(say, script, told, outputs)
    shown = "".join(
        block.text if isinstance(block, TextBlock) else block.content
        for block in message.blocks
        if isinstance(block, TextBlock | ToolResultBlock)
    )
    assert shown.count(HOSTILE) == 5 + 1 + 1 + 1 + 2
    assert "49" not in shown


def test_a_template_with_a_name_that_nobody_gives_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="titel"):
        fill("{{ titel }}", title="x")


def test_the_cached_prefix_is_the_same_bytes_for_equal_inputs() -> None:
    asked = request(soul="Be kind.")
    rules = {"AGENTS.md": "Use tabs.", "CLAUDE.md": "Use spaces."}
    one, two = (
        (
            tools(words()),
            system(compiled().script, context(asked.model_copy(), words(), dict(rules))),
        )
        for _ in "ab"
    )
    assert one == two
    assert [tool.model_dump_json() for tool in one[0]] == [t.model_dump_json() for t in two[0]]
    assert [tool.name for tool in one[0]] == list(ARGUMENTS)


# --- what is said --------------------------------------------------------------------------

EVERYTHING: tuple[Say, ...] = (
    Steer(text="hurry", by="ada"),
    StepPrompt(step="one-step"),
    Reminder(step="one-step"),
    CutOff(max_tokens=1000),
    NearLimit(limit="turns", left="1 turns"),
    ToolDone(call="c1"),
    StepAccepted(call="c2", next_step="two-step"),
    StepBlocked(call="c3", step="one-step", problems=("a", "b"), tries_left=1),
    CallAnswered(call="c4", word="not_run", is_error=True),
    CallAnswered(call="c5", word="one_step", is_error=True),
    CallAnswered(call="c6", word="noted"),
    CallAnswered(call="c7", word="answer", text="Yes."),
)


def test_everything_can_be_said_and_results_stand_first() -> None:
    script = compiled(step("one-step"), step("two-step")).script
    message = said(EVERYTHING, script, TOLD, {"c1": ToolOutput(content="out", ok=True)})
    types = [block.type for block in message.blocks]
    assert types == ["tool_result"] * 7 + ["text"] * 6
    results = [block for block in message.blocks if isinstance(block, ToolResultBlock)]
    assert [block.tool_use_id for block in results] == [f"c{n}" for n in range(1, 8)]
    assert [block.is_error for block in results] == [False, False, True, True, True, False, False]
    texts = [block.text for block in message.blocks if isinstance(block, TextBlock)]
    assert texts[0] == "The task."
    assert script.prompts["two-step"] in results[1].content
    assert "- a\n- b" in results[2].content
    assert all(block.content.strip() for block in results)
    assert all(text.strip() for text in texts)


@pytest.mark.parametrize("output", ["", " \n"])
def test_an_output_that_shows_nothing_is_said_to_be_empty(output: str) -> None:
    outputs = {"c1": ToolOutput(content=output, ok=True)}
    (result,) = said((ToolDone(call="c1"),), compiled().script, None, outputs).blocks
    assert isinstance(result, ToolResultBlock)
    assert result.content == words().no_output
