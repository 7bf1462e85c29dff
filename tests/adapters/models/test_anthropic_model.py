"""The Anthropic adapter against a server that speaks the Messages API, over its real SDK."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anthropic
import httpx2
import pytest
import uvicorn

from worktrain.adapters.models.anthropic import AnthropicModel, body, connect
from worktrain.adapters.models.failures import retry_after_s
from worktrain.adapters.models.messages_rules import problem
from worktrain.adapters.models.scenario import Scenario
from worktrain.adapters.models.scripted_http import app
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.turn import (
    Message,
    ModelReply,
    ModelRequest,
    OpaqueBlock,
    StopReason,
    TextBlock,
    ToolResultBlock,
    ToolSchema,
    ToolUseBlock,
    Usage,
)

KEY = "sk-test-do-not-show-0123456789"
MODEL = "claude-sonnet-5-5"
THINKING = {"type": "thinking", "thinking": "Let me look around first.", "signature": "c2ln" * 9}
REDACTED = {"type": "redacted_thinking", "data": "b3BhcXVl"}
SEARCHED = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
TOOLS = tuple(
    ToolSchema(name=name, description=f"{name} a file", parameters=SCHEMA)
    for name in ("Read", "Write")
)
FIRST = Message(role="user", blocks=(TextBlock(text="Fix the bug."), TextBlock(text="AC1: it is")))


def asked(*more: Message, model: str = MODEL) -> ModelRequest:
    return ModelRequest(
        model=model,
        system=("You are careful.", "Rules of this repository."),
        tools=TOOLS,
        messages=(FIRST, *more),
        max_tokens=1000,
    )


def scripted(*turns: dict[str, Any], **more: Any) -> Scenario:
    session = {"name": "fix", "match": "Fix the bug", "turns": list(turns)}
    return Scenario.model_validate({"sessions": [session], **more})


def model_of(
    serve: Callable[[httpx2.Request], httpx2.Response] | Scenario, idle_s: float = 5
) -> AnthropicModel:
    transport = (
        httpx2.ASGITransport(app(serve))
        if isinstance(serve, Scenario)
        else httpx2.MockTransport(serve)
    )
    client = anthropic.AsyncAnthropic(
        api_key=KEY,
        base_url="http://models.test",
        max_retries=0,
        http_client=httpx2.AsyncClient(transport=transport),
    )
    return AnthropicModel(client, idle_s)


async def reply_of(
    serve: Callable[[httpx2.Request], httpx2.Response] | Scenario,
    request: ModelRequest | None = None,
) -> ModelReply:
    return await model_of(serve).reply(request or asked(), lambda _: None)


async def failure_of(
    serve: Callable[[httpx2.Request], httpx2.Response] | Scenario,
) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        await reply_of(serve)
    return caught.value


def stream(*events: dict[str, Any] | str) -> Callable[[httpx2.Request], httpx2.Response]:
    """A server that answers everything with these events; a text goes out as it is."""
    lines = [
        event
        if isinstance(event, str)
        else f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
        for event in events
    ]
    headers = {"content-type": "text/event-stream"}
    return lambda _: httpx2.Response(200, headers=headers, text="".join(lines))


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def tool(index: int, call: str, *pieces: str) -> list[dict[str, Any]]:
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return block(index, {"type": "tool_use", "id": call, "name": "Read", "input": {}}, *deltas)


START = {"type": "message_start", "message": {"role": "assistant", "content": []}}
STOP = {"type": "message_stop"}


def delta(stop: str | None, **usage: int) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": usage}


# --- replies -------------------------------------------------------------------------------


async def test_text_thinking_and_calls_arrive_whole() -> None:
    scenario = scripted(
        {
            "opaque": [THINKING, REDACTED],
            "text": "I will read both files and then decide what to do.",
            "calls": [
                {"tool": "Read", "input": {"path": "a/rather/long/path.py", "deep": [1, {}]}},
                {"tool": "Read"},
            ],
            "usage": {"input": 3, "output": 40, "cache_read": 900, "cache_write": 50},
        }
    )
    heard: list[str] = []
    reply = await model_of(scenario).reply(asked(), heard.append)

    thinking, redacted, text, first, second = reply.blocks
    assert (thinking, redacted) == (OpaqueBlock(raw=THINKING), OpaqueBlock(raw=REDACTED))
    assert text == TextBlock(text="I will read both files and then decide what to do.")
    assert isinstance(first, ToolUseBlock)
    assert isinstance(second, ToolUseBlock)
    assert first.input == {"path": "a/rather/long/path.py", "deep": [1, {}]}
    assert (first.name, second.input) == ("Read", {})
    assert first.id != second.id
    assert reply.stop is StopReason.TOOL_USE
    assert reply.usage == Usage(input=3, output=40, cache_read=900, cache_write=50)
    assert reply.model == MODEL
    assert reply.cost_microdollars > 0
    assert {"ping", "text 50 chars", "Read 50 chars"} <= set(heard)


@pytest.mark.parametrize(
    ("raw", "stop"),
    [
        ("end_turn", StopReason.END_TURN),
        ("pause_turn", StopReason.END_TURN),
        ("stop_sequence", StopReason.END_TURN),
        ("max_tokens", StopReason.MAX_TOKENS),
        ("refusal", StopReason.REFUSAL),
        ("tool_use", StopReason.END_TURN),
    ],
)
async def test_every_stop_reason_has_a_meaning(raw: str, stop: StopReason) -> None:
    assert (await reply_of(scripted({"text": "Done.", "stop": raw}))).stop is stop


async def test_a_full_context_window_is_a_failure() -> None:
    scenario = scripted({"text": "Hm", "stop": "model_context_window_exceeded"})
    assert (await failure_of(scenario)).kind is FailureKind.CONTEXT_TOO_LONG


async def test_a_call_that_the_output_limit_cut_off_is_dropped() -> None:
    serve = stream(
        START,
        *tool(0, "toolu_1", '{"path": "a"}'),
        *tool(1, "toolu_2", '{"path": "b'),
        delta("max_tokens"),
        STOP,
    )
    reply = await reply_of(serve)
    assert [getattr(one, "id", None) for one in reply.blocks] == ["toolu_1"]
    assert reply.stop is StopReason.MAX_TOKENS


# --- servers that only resemble the API ----------------------------------------------------


async def test_a_server_without_usage_ids_and_event_names_is_understood() -> None:
    unnamed = [
        START,
        *block(0, {"type": "text", "text": ""}),
        *tool(1, ""),
        *tool(2, "c", ""),
        *tool(3, "c"),
    ]
    lines = [f"data: {json.dumps(event)}\n\n" for event in [*unnamed, STOP]]
    reply = await reply_of(stream(": keep-alive\n\n", *lines), asked(model="qwen3-coder"))
    calls = [one for one in reply.blocks if isinstance(one, ToolUseBlock)]
    assert [one.input for one in calls] == [{}, {}, {}]
    assert len({one.id for one in calls if one.id}) == 3
    assert reply.stop is StopReason.TOOL_USE
    assert reply.usage == Usage()
    assert (reply.model, reply.cost_microdollars) == ("qwen3-coder", 0)


async def test_ids_that_repeat_across_turns_are_sent_and_received_as_they_are() -> None:
    call = ToolUseBlock(id="call_0", name="Read", input={"path": "a"})
    request = asked(
        Message(role="assistant", blocks=(call,)),
        Message(role="user", blocks=(ToolResultBlock(tool_use_id="call_0", content="text"),)),
    )
    again = await reply_of(
        stream(START, *tool(0, "call_0", "{}"), delta("tool_use"), STOP), request
    )
    assert again.blocks == (ToolUseBlock(id="call_0", name="Read", input={}),)
    assert body(request)["messages"][1]["content"][0]["id"] == "call_0"


async def test_counts_at_the_end_of_a_stream_win_unless_they_are_zero() -> None:
    start = {
        "type": "message_start",
        "message": {"usage": {"input_tokens": 70, "output_tokens": 1, "cache_creation": None}},
    }
    text = block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Done."})
    serve = stream(start, *text, delta("end_turn", input_tokens=0, output_tokens=9), STOP)
    assert (await reply_of(serve)).usage == Usage(input=70, output=9)


async def test_half_a_character_cannot_poison_the_transcript() -> None:
    serve = stream(START, *tool(0, "t", '{"path": "\\ud83d"}'), delta("tool_use"), STOP)
    (call,) = (await reply_of(serve)).blocks
    assert call.model_dump_json()
    assert isinstance(call, ToolUseBlock)
    assert call.input == {"path": "?"}


@pytest.mark.parametrize(
    "events",
    [
        [START, *block(0, {"type": "text", "text": "I"})],
        [START, {"type": "content_block_delta", "index": 4, "delta": {"type": "text_delta"}}],
        [START, *tool(0, "t", '{"path": '), delta("tool_use"), STOP],
        [START, *tool(0, "t", "[1]"), delta("tool_use"), STOP],
        ["event: message_start\ndata: {broken\n\n"],
        ["data: [DONE]\n\n"],
        [],
    ],
    ids=["cut", "no such block", "half input", "list input", "no JSON", "no object", "empty"],
)
async def test_a_stream_that_makes_no_sense_is_unreachable(events: list[Any]) -> None:
    error = await failure_of(stream(*events))
    assert error.kind is FailureKind.UNREACHABLE
    assert "could not be read" in error.said


# --- failures ------------------------------------------------------------------------------

TABLE = [
    (400, "invalid_request_error", "messages: bad", FailureKind.INVALID),
    (400, "invalid_request_error", "prompt is too long: 9 > 8", FailureKind.CONTEXT_TOO_LONG),
    (
        400,
        "invalid_request_error",
        "input length exceed context limit",
        FailureKind.CONTEXT_TOO_LONG,
    ),
    (400, "BadRequestError", "maximum context length is 4096", FailureKind.CONTEXT_TOO_LONG),
    (400, "invalid_request_error", "Your credit balance is too low", FailureKind.AUTH),
    (400, "invalid_request_error", "reached your specified API usage limits", FailureKind.AUTH),
    (401, "authentication_error", "invalid x-api-key", FailureKind.AUTH),
    (402, "billing_error", "pay", FailureKind.AUTH),
    (403, "permission_error", "no", FailureKind.AUTH),
    (404, "not_found_error", f"model: {MODEL}", FailureKind.NOT_FOUND),
    (408, "timeout_error", "slow", FailureKind.UNREACHABLE),
    (409, "conflict_error", "busy", FailureKind.UNREACHABLE),
    (413, "request_too_large", "too many bytes", FailureKind.CONTEXT_TOO_LONG),
    (418, "teapot", "short and stout", FailureKind.INVALID),
    (422, "invalid_request_error", "no", FailureKind.INVALID),
    (429, "rate_limit_error", "slow down", FailureKind.RATE_LIMITED),
    (500, "api_error", "oops", FailureKind.OVERLOADED),
    (502, "api_error", "gateway", FailureKind.UNREACHABLE),
    (503, "api_error", "later", FailureKind.OVERLOADED),
    (504, "timeout_error", "late", FailureKind.UNREACHABLE),
    (522, "cloud", "unknown", FailureKind.OVERLOADED),
    (529, "overloaded_error", "Overloaded", FailureKind.OVERLOADED),
    (200, "overloaded_error", "Overloaded", FailureKind.OVERLOADED),
    (200, "api_error", "oops", FailureKind.OVERLOADED),
    (200, "timeout_error", "late", FailureKind.UNREACHABLE),
    (200, "rate_limit_error", "slow down", FailureKind.RATE_LIMITED),
    (200, "invalid_request_error", "no", FailureKind.INVALID),
]


@pytest.mark.parametrize(("status", "type_", "message", "kind"), TABLE)
async def test_every_error_has_a_kind_and_a_sentence(
    status: int, type_: str, message: str, kind: FailureKind
) -> None:
    error = {"status": status, "type": type_, "message": message}
    failed = await failure_of(scripted({"text": "Fine.", "errors": [error]}))
    assert failed.kind is kind
    assert failed.said.startswith(f"Asking '{MODEL}' at models.test for a turn failed: ")
    assert message in failed.said
    assert KEY not in failed.said


async def test_an_unknown_model_is_named_with_the_setting_that_names_it() -> None:
    said = (await failure_of(scripted({"text": "Hi"}, models=["claude-opus-5-5"]))).said
    assert MODEL in said
    assert "`models` in .worktrain/config.yml" in said


async def test_an_account_without_credit_is_not_told_to_set_a_key() -> None:
    error = {"status": 400, "type": "invalid_request_error", "message": "credit balance too low"}
    said = (await failure_of(scripted({"errors": [error]}))).said
    assert "add credit" in said
    assert "ANTHROPIC_API_KEY" not in said


async def test_retry_after_is_passed_on() -> None:
    error = {"status": 429, "type": "rate_limit_error", "message": "no", "retry_after_s": 7}
    assert (await failure_of(scripted({"errors": [error]}))).retry_after_s == 7


def test_retry_after_is_read_in_every_form() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=90)
    assert retry_after_s({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    assert retry_after_s({"retry-after": "2.5"}) == 2.5
    assert 80 < (retry_after_s({"retry-after": format_datetime(soon, usegmt=True)}) or 0) <= 90
    assert retry_after_s({"retry-after": "Mon, 01 Jan 2001 00:00:00 GMT"}) == 0
    assert retry_after_s({"retry-after": "99999999999"}) == 86_400
    for nonsense in ("", "soon", "nan", "-4"):
        assert retry_after_s({"retry-after": nonsense}) is None


async def test_a_refused_connection_names_the_server() -> None:
    client = anthropic.AsyncAnthropic(api_key=KEY, base_url="http://127.0.0.1:9", max_retries=0)
    with pytest.raises(AdapterError, match=r"127\.0\.0\.1:9 .*connection failed") as caught:
        await AnthropicModel(client).reply(asked(), lambda _: None)
    assert caught.value.kind is FailureKind.UNREACHABLE


async def test_a_connection_that_breaks_in_the_middle_is_unreachable() -> None:
    class Broken(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b'event: ping\ndata: {"type": "ping"}\n\n'
            raise httpx2.ReadError("connection reset")

    error = await failure_of(lambda _: httpx2.Response(200, stream=Broken()))
    assert error.kind is FailureKind.UNREACHABLE
    assert "connection reset" in error.said


async def test_a_wrong_key_is_refused_and_never_shown() -> None:
    error = await failure_of(scripted({"text": "Hi"}, key="another"))
    assert error.kind is FailureKind.AUTH
    assert "ANTHROPIC_API_KEY" in error.said


async def test_a_server_that_echoes_the_key_is_not_quoted() -> None:
    answer = {"type": "error", "error": {"type": "authentication_error", "message": f"bad {KEY}!"}}
    error = await failure_of(lambda _: httpx2.Response(401, json=answer))
    assert "bad [key]!" in error.said
    # A cause is recorded with its failure.
    assert error.__cause__ is None


async def test_an_error_inside_a_stream_does_not_quote_the_key_either() -> None:
    said = {"type": "authentication_error", "message": f"bad {KEY}!"}
    error = await failure_of(stream(START, {"type": "error", "error": said}))
    assert error.kind is FailureKind.AUTH
    assert "bad [key]!" in error.said


async def test_a_missing_key_says_which_variable_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name in ("API_KEY", "AUTH_TOKEN", "PROFILE", "CONFIG_DIR"):
        monkeypatch.delenv(f"ANTHROPIC_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    client = connect(base_url="http://127.0.0.1:9")
    assert client.max_retries == 0
    with pytest.raises(AdapterError, match="set ANTHROPIC_API_KEY") as caught:
        await AnthropicModel(client).reply(asked(), lambda _: None)
    assert caught.value.kind is FailureKind.AUTH


def test_a_profile_that_cannot_be_read_is_told_when_connecting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("ANTHROPIC_PROFILE", "absent")
    with pytest.raises(AdapterError, match="set ANTHROPIC_API_KEY") as caught:
        connect()
    assert caught.value.kind is FailureKind.AUTH


def test_a_base_url_that_is_none_is_told_when_connecting() -> None:
    with pytest.raises(AdapterError, match="correct ANTHROPIC_BASE_URL") as caught:
        connect(KEY, "http://[::1")
    assert caught.value.kind is FailureKind.MISCONFIGURED


# --- silence -------------------------------------------------------------------------------


async def test_a_server_that_never_begins_is_stalled() -> None:
    scenario = scripted({"text": "Late.", "delay_s": 60})
    with pytest.raises(AdapterError, match=r"nothing was heard for 0\.05 s") as caught:
        await model_of(scenario, idle_s=0.05).reply(asked(), lambda _: None)
    assert caught.value.kind is FailureKind.STALLED


@asynccontextmanager
async def served(application: Any) -> AsyncIterator[str]:
    """The address of an application on a real socket."""
    server = uvicorn.Server(
        uvicorn.Config(application, log_level="error", timeout_graceful_shutdown=1)
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        task = asyncio.create_task(server.serve(sockets=[listening]))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        await task


async def test_over_a_real_socket_a_turn_passes_and_silence_in_its_middle_is_stalled() -> None:
    scenario = scripted({"text": "One."}, {"text": "Two.", "delay_s": 60}, key=KEY)
    heard: list[str] = []
    async with served(app(scenario)) as url, connect(KEY, url) as client:
        first = await AnthropicModel(client).reply(asked(), heard.append)
        assert first.blocks == (TextBlock(text="One."),)
        more = (
            Message(role="assistant", blocks=first.blocks),
            Message(role="user", blocks=(TextBlock(text="Go on."),)),
        )
        heard.clear()
        with pytest.raises(AdapterError) as caught:
            await AnthropicModel(client, idle_s=0.7).reply(asked(*more), heard.append)
    assert caught.value.kind is FailureKind.STALLED
    assert heard == ["message_start", "ping"]


async def test_a_finished_reply_is_kept_when_its_stream_is_never_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worktrain.adapters.models.anthropic.LINGER_S", 0.05)
    whole = stream(START, *tool(0, "t", "{}"), delta("tool_use"), STOP)

    class Open(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield whole(httpx2.Request("GET", "http://models.test")).content
            await asyncio.Event().wait()

    reply = await reply_of(lambda _: httpx2.Response(200, stream=Open()))
    assert reply.stop is StopReason.TOOL_USE


async def test_a_cancelled_call_stays_cancelled() -> None:
    heard = asyncio.Event()
    model = model_of(lambda _: httpx2.Response(200, stream=Pinging()))
    task = asyncio.create_task(model.reply(asked(), lambda _: heard.set()))
    await heard.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class Pinging(httpx2.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'event: ping\ndata: {"type": "ping"}\n\n'
        await asyncio.Event().wait()


async def test_pings_keep_a_quiet_reply_alive() -> None:
    whole = stream(START, *tool(0, "t", "{}"), delta("tool_use"), STOP)

    class Slow(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for _ in range(4):
                await asyncio.sleep(0.2)
                yield b'event: ping\ndata: {"type": "ping"}\n\n'
            yield whole(httpx2.Request("GET", "http://models.test")).content

    heard: list[str] = []
    model = model_of(lambda _: httpx2.Response(200, stream=Slow()), idle_s=0.6)
    assert (await model.reply(asked(), heard.append)).blocks
    assert heard.count("ping") == 4


# --- what is sent --------------------------------------------------------------------------


def conversation(turns: int) -> ModelRequest:
    messages: list[Message] = []
    for turn in range(turns):
        call = ToolUseBlock(id=f"toolu_{turn}", name="Read", input={"path": f"{turn}.py", "a": 1})
        said = (OpaqueBlock(raw=THINKING), TextBlock(text=f"Turn {turn}"), call)
        result = ToolResultBlock(tool_use_id=call.id, content=f"text {turn}", is_error=turn == 1)
        messages.append(Message(role="assistant", blocks=said))
        messages.append(Message(role="user", blocks=(result,)))
    return asked(*messages)


def unmarked(value: Any) -> Any:
    if isinstance(value, list):
        return [unmarked(item) for item in value]
    if isinstance(value, dict):
        return {key: unmarked(item) for key, item in value.items() if key != "cache_control"}
    return value


def marks(sent: dict[str, Any]) -> list[str]:
    found = []
    for place in ("tools", "system"):
        found += [f"{place}.{at}" for at, one in enumerate(sent[place]) if "cache_control" in one]
    for index, message in enumerate(sent["messages"]):
        for at, one in enumerate(message["content"]):
            if "cache_control" in one:
                found.append(f"messages.{index}.{at}")
    return found


async def test_equal_requests_are_equal_bytes_on_the_wire() -> None:
    sent: list[bytes] = []
    serve = stream(START, *tool(0, "t", "{}"), delta("tool_use"), STOP)

    def record(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.read())
        return serve(request)

    for _ in range(2):
        await reply_of(record, ModelRequest.model_validate_json(conversation(3).model_dump_json()))
    assert sent[0] == sent[1]
    assert json.loads(sent[0]) == body(conversation(3))


def test_each_turn_begins_with_all_of_the_turn_before() -> None:
    for turns in range(5):
        before, after = body(conversation(turns)), body(conversation(turns + 1))
        assert json.dumps(unmarked(after)).startswith(json.dumps(unmarked(before))[:-2])


def test_the_markers_stand_after_tools_system_contract_and_tail() -> None:
    assert marks(body(asked())) == ["tools.1", "system.1", "messages.0.1"]
    for turns in (1, 2, 5):
        expected = ["tools.1", "system.1", "messages.0.1", f"messages.{2 * turns}.0"]
        assert marks(body(conversation(turns))) == expected


def test_an_opaque_block_is_sent_as_it_came_and_never_marked() -> None:
    paused = Message(role="assistant", blocks=(OpaqueBlock(raw=SEARCHED),))
    tail = Message(role="user", blocks=(TextBlock(text="And?"), OpaqueBlock(raw=SEARCHED)))
    sent = body(asked(paused, tail))
    assert sent["messages"][1]["content"] == [SEARCHED]
    assert sent["messages"][2]["content"][1] == SEARCHED
    assert "cache_control" not in SEARCHED
    assert marks(sent)[-1] == "messages.2.0"


def test_what_the_api_would_refuse_is_not_sent() -> None:
    request = ModelRequest(
        model=MODEL,
        system=("", "Rules."),
        tools=(),
        messages=(
            Message(role="user", blocks=(TextBlock(text=" \n"), TextBlock(text="Fix."))),
            Message(role="assistant", blocks=(TextBlock(text=""),)),
            Message(role="user", blocks=(TextBlock(text="You said nothing."),)),
            Message(
                role="assistant",
                blocks=(ToolUseBlock(id="t", name="Read", input={}),),
            ),
            Message(
                role="user", blocks=(ToolResultBlock(tool_use_id="t", content="", is_error=True),)
            ),
        ),
        max_tokens=100,
    )
    sent = body(request)
    assert problem(sent) is None
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user"]
    assert [one["text"] for one in sent["messages"][0]["content"]] == ["Fix.", "You said nothing."]
    assert "tools" not in sent


async def test_a_whole_conversation_is_valid_and_its_thinking_goes_back_unchanged() -> None:
    turn = {"opaque": [THINKING], "text": "Next.", "calls": [{"tool": "Read", "input": {"a": 1}}]}
    model = model_of(scripted(*[turn] * 3, {"text": "Done."}))
    messages: list[Message] = []
    for _ in range(4):
        reply = await model.reply(asked(*messages), lambda _: None)
        results = tuple(
            ToolResultBlock(tool_use_id=one.id, content="")
            for one in reply.blocks
            if isinstance(one, ToolUseBlock)
        )
        messages.append(Message(role="assistant", blocks=reply.blocks))
        messages.append(Message(role="user", blocks=results))
    assert messages[-2].blocks == (TextBlock(text="Done."),)
    thoughts = [message.blocks[0] for message in messages[:-2:2]]
    assert thoughts == [OpaqueBlock(raw=THINKING)] * 3


async def test_nothing_of_a_call_is_logged_above_debug(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await reply_of(scripted({"text": "Hi"}))
    assert not [one for one in caplog.records if KEY in one.getMessage()]
