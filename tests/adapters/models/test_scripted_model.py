"""The in-process stand-in: says and fails what the real adapter would."""

import subprocess
import sys
import time
from typing import Any

import anthropic
import httpx2
import pytest

from worktrain.adapters.models import ModelClient
from worktrain.adapters.models.anthropic import AnthropicModel
from worktrain.adapters.models.scenario import Scenario
from worktrain.adapters.models.scripted import ScriptedModel
from worktrain.adapters.models.scripted_http import app
from worktrain.contracts.failure import AdapterError
from worktrain.contracts.turn import (
    Message,
    ModelReply,
    ModelRequest,
    TextBlock,
    ToolResultBlock,
    ToolUseBlock,
)


def scripted(*turns: dict[str, Any]) -> Scenario:
    sessions = [{"name": "fix", "match": "Fix", "turns": list(turns)}]
    return Scenario.model_validate({"sessions": sessions, "models": ["claude-opus-5-5"]})


def asked(*more: Message, model: str = "claude-opus-5-5") -> ModelRequest:
    first = Message(role="user", blocks=(TextBlock(text="Fix it."),))
    return ModelRequest(
        model=model, system=("Rules.",), tools=(), messages=(first, *more), max_tokens=100
    )


def over_http(scenario: Scenario) -> AnthropicModel:
    transport = httpx2.ASGITransport(app(scenario))
    client = anthropic.AsyncAnthropic(
        api_key="none",
        base_url="http://models.test",
        max_retries=0,
        http_client=httpx2.AsyncClient(transport=transport),
    )
    return AnthropicModel(client)


async def outcome(model: ModelClient, request: ModelRequest) -> Any:
    try:
        return await model.reply(request, lambda _: None)
    except AdapterError as error:
        return error.kind, error.retry_after_s


def error(status: int, type_: str, **more: Any) -> dict[str, Any]:
    return {"status": status, "type": type_, "message": "no", **more}


@pytest.mark.parametrize(
    "turn",
    [
        {"text": "Hello", "calls": [{"tool": "Read", "input": {"path": "a"}}, {"tool": "Read"}]},
        {"opaque": [{"type": "redacted_thinking", "data": "eA=="}], "text": "Hm"},
        {"text": "No.", "stop": "refusal"},
        {"text": "Wait.", "stop": "pause_turn"},
        {"text": "Wait.", "stop": "tool_use"},
        {"text": "Cut", "stop": "max_tokens", "usage": {"output": 100, "cache_read": 5}},
        {"stop": "model_context_window_exceeded"},
        {"errors": [error(429, "rate_limit_error", retry_after_s=2.5)]},
        {"errors": [error(200, "overloaded_error")]},
        {"errors": [error(401, "authentication_error")]},
        {"errors": [error(413, "request_too_large")]},
        {"errors": [error(500, "api_error")]},
    ],
)
async def test_both_stand_ins_say_the_same(turn: dict[str, Any]) -> None:
    scenario = scripted(turn)
    for request in (asked(), asked(model="unknown"), asked()):
        assert await outcome(ScriptedModel(scenario), request) == await outcome(
            over_http(scenario), request
        )


async def test_a_repeated_request_meets_its_errors_first_and_is_counted() -> None:
    model = ScriptedModel(scripted({"text": "Hi", "errors": [error(529, "overloaded_error")]}))
    first = await outcome(model, asked())
    second, third = await outcome(model, asked()), await outcome(model, asked())
    assert not isinstance(first, ModelReply)
    assert second == third
    assert len(model.calls) == 3
    assert len(set(model.calls)) == 1


async def test_two_hundred_turns_cost_next_to_nothing() -> None:
    turn = {"text": "Next.", "calls": [{"tool": "Read", "input": {"path": "a"}}]}
    model = ScriptedModel(scripted(*[turn] * 200))
    messages: list[Message] = []
    await model.reply(asked(), lambda _: None)
    began = time.process_time()
    for _ in range(200):
        reply = await model.reply(asked(*messages), lambda _: None)
        results = tuple(
            ToolResultBlock(tool_use_id=one.id, content="x" * 2000)
            for one in reply.blocks
            if isinstance(one, ToolUseBlock)
        )
        messages += [
            Message(role="assistant", blocks=reply.blocks),
            Message(role="user", blocks=results),
        ]
    assert len(set(model.calls)) == 200
    assert time.process_time() - began < 1


def test_the_stand_in_needs_neither_the_sdk_nor_the_price_table_to_start() -> None:
    probe = (
        "import sys, worktrain.adapters.models.scripted;"
        "print([one for one in ('anthropic', 'genai_prices', 'httpx2') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
