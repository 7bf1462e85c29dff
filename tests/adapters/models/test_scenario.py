"""Authored conversations: who answers, with what, and what is refused when read."""

from pathlib import Path
from typing import Any

import pytest

from worktrain.adapters.models.scenario import Refused, Said, Scenario, answer, load
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.turn import (
    Message,
    ModelRequest,
    TextBlock,
    ToolResultBlock,
    ToolUseBlock,
    Usage,
)

FILE = """
models: [claude-haiku-4-5, claude-opus-5-5]
sessions:
  - name: review
    match: You review .* issue 7
    turns:
      - text: Looks good.
  - name: coding
    match: issue 7
    turns:
      - text: Reading.
        calls:
          - {tool: Read, input: {path: a.py}}
          - {tool: Bash, input: {command: ls}}
        errors:
          - {status: 529, type: overloaded_error, message: Busy, times: 2}
          - {status: 429, type: rate_limit_error, message: Slow, retry_after_s: 3}
      - - {when: No such file, text: I will create it., calls: [{tool: Write}]}
        - {text: Done., usage: {input: 1, output: 2}}
"""


def read(tmp_path: Path, text: str = FILE) -> Scenario:
    path = tmp_path / "scenario.yaml"
    path.write_text(text)
    return load(path)


def asked(*more: Message, system: str = "You write code.", model: str = "claude-haiku-4-5") -> Any:
    first = Message(role="user", blocks=(TextBlock(text="Solve issue 7"),))
    return ModelRequest(
        model=model, system=(system,), tools=(), messages=(first, *more), max_tokens=100
    )


def answered(output: str) -> tuple[Message, Message]:
    call = ToolUseBlock(id="t", name="Read", input={})
    return (
        Message(role="assistant", blocks=(call,)),
        Message(role="user", blocks=(ToolResultBlock(tool_use_id="t", content=output),)),
    )


def said(scenario: Scenario, request: ModelRequest, seen: int = 9) -> Said:
    reply = answer(scenario, request, seen)
    assert isinstance(reply, Said)
    return reply


def refused(scenario: Scenario, request: ModelRequest, seen: int = 9) -> Refused:
    reply = answer(scenario, request, seen)
    assert isinstance(reply, Refused)
    return reply


def test_the_first_session_that_matches_answers(tmp_path: Path) -> None:
    scenario = read(tmp_path)
    assert said(scenario, asked()).session == "coding"
    assert said(scenario, asked(system="You review\nissue 7")).session == "coding"
    assert said(scenario, asked(system="You review the work on issue 7")).session == "review"


def test_errors_come_first_and_each_its_number_of_times(tmp_path: Path) -> None:
    scenario = read(tmp_path)
    statuses = [refused(scenario, asked(), seen).error.status for seen in range(3)]
    assert statuses == [529, 529, 429]
    assert said(scenario, asked(), 3) == said(scenario, asked(), 99)


def test_the_turn_follows_from_the_conversation_alone(tmp_path: Path) -> None:
    scenario = read(tmp_path)
    done = said(scenario, asked(*answered("text")))
    assert (done.turn, done.stop, done.blocks) == (1, "end_turn", (TextBlock(text="Done."),))
    assert done.usage == Usage(input=1, output=2)


def test_alternatives_are_chosen_by_the_last_message(tmp_path: Path) -> None:
    text, call = said(read(tmp_path), asked(*answered("No such file: a.py"))).blocks
    assert text == TextBlock(text="I will create it.")
    assert isinstance(call, ToolUseBlock)
    assert (call.name, call.input) == ("Write", {})


def test_call_ids_are_unique_and_the_same_every_time(tmp_path: Path) -> None:
    scenario = read(tmp_path)
    ids = [one.id for one in said(scenario, asked()).blocks if isinstance(one, ToolUseBlock)]
    again = [one.id for one in said(scenario, asked()).blocks if isinstance(one, ToolUseBlock)]
    later = said(scenario, asked(*answered("No such file"))).blocks[1]
    assert isinstance(later, ToolUseBlock)
    assert ids == again
    assert len({*ids, later.id}) == 3


def test_what_was_not_written_is_an_error_that_names_what_was_asked(tmp_path: Path) -> None:
    scenario = read(tmp_path)
    over = refused(scenario, asked(*answered("x"), *answered("the last words")))
    assert (over.error.status, over.session) == (400, "coding")
    assert "turn 3 of session 'coding'" in over.error.message
    assert "the last words" in over.error.message

    other = ModelRequest(
        model="claude-haiku-4-5",
        system=(),
        tools=(),
        messages=(Message(role="user", blocks=(TextBlock(text="Sing!"),)),),
        max_tokens=1,
    )
    assert "begins 'Sing!'" in refused(scenario, other).error.message
    unknown = refused(scenario, asked(model="gpt"))
    assert (unknown.error.status, unknown.error.type) == (404, "not_found_error")


def test_alternatives_that_all_have_a_condition_may_leave_nothing(tmp_path: Path) -> None:
    turns = [[{"when": "yes", "text": "Yes."}, {"when": "no", "text": "No."}]]
    sessions = [{"name": "one", "match": "", "turns": turns}]
    scenario = Scenario.model_validate({"sessions": sessions})
    assert "no alternative" in refused(scenario, asked()).error.message


def test_counted_tokens_grow_and_come_from_the_cache(tmp_path: Path) -> None:
    scenario = read(tmp_path)
    first = said(scenario, asked()).usage
    later = said(scenario, asked(*answered("x" * 400 + "No such file"))).usage
    assert first.cache_read == 0
    assert first.cache_write > 0
    assert later.cache_read > 0
    assert later.input >= 100
    assert later.sent > first.sent


@pytest.mark.parametrize(
    ("text", "said_"),
    [
        ("sessions: [{name: a, match: '', turns: [{txt: Hi}]}]", "sessions.0.turns.0.0.txt"),
        ("sessions: [{name: a, match: '(', turns: []}]", "sessions.0.match"),
        ("sessions: [{name: a, match: '', turns: [{}]}]", "a turn needs one of"),
        ("sessions: [{name: a, match: '', turns: [[]]}]", "sessions.0.turns.0"),
        ("sessions: [", "while parsing"),
        ("", "the top"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, said_: str) -> None:
    with pytest.raises(AdapterError) as caught:
        read(tmp_path, text)
    assert caught.value.kind is FailureKind.MISCONFIGURED
    assert said_ in caught.value.said


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"absent\.yaml"):
        load(tmp_path / "absent.yaml")
