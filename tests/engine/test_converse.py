"""What a workflow is told of a reply: references, previews that are safe to show, no talk."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.conftest import asked, go, state
from worktrain.contracts.session import Started
from worktrain.contracts.turn import (
    Block,
    ModelReply,
    OpaqueBlock,
    Steer,
    StopReason,
    TextBlock,
    ToolUseBlock,
    TurnReply,
    TurnRequest,
    Usage,
)
from worktrain.engine.converse import (
    PREVIEW_MAX,
    answer_of,
    key_of,
    reply_id,
    shortened,
)


def first() -> TurnRequest:
    return asked(go(state(), Started())[1])


def replied(*blocks: Block) -> TurnReply:
    usage = Usage(input=3, output=4)
    reply = ModelReply(
        blocks=blocks, stop=StopReason.TOOL_USE, usage=usage, model="m", cost_microdollars=7
    )
    answer = answer_of("k" * 64, reply)
    assert (answer.usage, answer.cost_microdollars, answer.model) == (usage, 7, "m")
    assert answer.stop is StopReason.TOOL_USE
    return answer


def use(name: str, **arguments: Any) -> ToolUseBlock:
    return ToolUseBlock(id="c1", name=name, input=arguments)


def test_equal_requests_have_one_key_and_different_ones_differ() -> None:
    assert key_of(first()) == key_of(first())
    changes: list[dict[str, Any]] = [
        {"session": "other"},
        {"turn": 2},
        {"head": "a1"},
        {"say": (Steer(text="hurry", by="ada"),)},
        {"script": "x"},
        {"context": "x"},
        {"model": "other"},
        {"max_tokens": 1},
    ]
    keys = {key_of(first().model_copy(update=one)) for one in changes}
    assert len(keys | {key_of(first())}) == len(changes) + 1


def test_a_key_is_the_same_after_a_history() -> None:
    again = TurnRequest.model_validate_json(first().model_dump_json())
    assert key_of(again) == key_of(first())


def test_an_answer_is_named_by_the_key_of_its_call() -> None:
    assert replied(TextBlock(text="x")).head == reply_id("k" * 64)
    assert reply_id(key_of(first())) != reply_id("k" * 64)


def test_inputs_travel_only_where_the_engine_decides() -> None:
    answer = replied(
        use("Bash", command="ls"), use("complete_step", notes="n"), use("report_issue", kind="k")
    )
    assert [call.input for call in answer.calls] == [None, {"notes": "n"}, {"kind": "k"}]


@pytest.mark.parametrize(
    ("block", "preview"),
    [
        (use("Bash", command="pytest  -q\n tests", cwd="x"), "Bash pytest -q tests"),
        (use("Read", filePath="a.py", offset=3), "Read a.py"),
        (use("Edit", file_path="a.py", old_string="x", new_string="y"), "Edit a.py"),
        (use("Grep", pattern="def", path="src"), "Grep def"),
        (use("report_issue", summary="It fails."), "report_issue It fails."),
        (use("Unheard-of", a=[1]), 'Unheard-of {"a": [1]}'),
        (use("Bash", command=["ls"]), 'Bash {"command": ["ls"]}'),
        (use("Unheard-of"), "Unheard-of"),
    ],
)
def test_a_preview_shows_what_says_most(block: ToolUseBlock, preview: str) -> None:
    assert replied(block).calls[0].preview == preview


def test_text_is_previewed_and_what_we_only_carry_is_not() -> None:
    thinking = OpaqueBlock(raw={"type": "thinking", "thinking": "secret"})
    answer = replied(thinking, TextBlock(text="First,\n"), TextBlock(text="then."))
    assert answer.preview == "First, then."
    assert "secret" not in answer.model_dump_json()


@given(st.text(st.characters() | st.sampled_from("a \n\x1b\u202e\ud800")), st.integers(1, 40))
def test_a_shortened_text_is_one_line_that_a_terminal_can_be_trusted_with(
    text: str, length: int
) -> None:
    line = shortened(text, length)
    assert len(line) <= length
    assert line.isprintable()
    assert "  " not in line
    line.encode()


def test_an_escape_of_an_agent_never_reaches_a_terminal() -> None:
    answer = replied(use("Bash", command="echo \x1b]0;owned\x07 \x1b[2J\u202e"))
    assert answer.calls[0].preview == "Bash echo ]0;owned [2J"


def test_a_preview_is_bounded_whatever_the_reply() -> None:
    answer = replied(TextBlock(text="x" * 100_000), use("y" * 100_000, z="z" * 100_000))
    assert len(answer.preview) == len(answer.calls[0].preview) == PREVIEW_MAX
    assert answer.preview.endswith("…")
    assert json.loads(answer.model_dump_json())["preview"] == answer.preview
