"""The HTTP stand-in: what it refuses, what it writes down, and how it starts."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from worktrain.adapters.models.scenario import Scenario
from worktrain.adapters.models.scripted_http import app

HEADERS = {"anthropic-version": "2026-10-21", "x-api-key": "secret"}
SESSIONS = [
    {
        "name": "fix",
        "match": "Fix",
        "turns": [
            {
                "text": "Reading the file that you named.",
                "calls": [{"tool": "Read", "input": {"path": "src/deep/in/the/tree.py"}}],
                "errors": [{"status": 529, "type": "overloaded_error", "message": "Busy"}],
            }
        ],
    }
]
CALL = {"type": "tool_use", "id": "t1", "name": "Read", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "x"}
TOOL = {"name": "Read", "description": "Reads", "input_schema": {"type": "object"}}


def scenario(**more: Any) -> Scenario:
    return Scenario.model_validate({"sessions": SESSIONS, **more})


def client(served: Scenario, log: Path | None = None) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app(served, log))
    return httpx2.AsyncClient(transport=transport, base_url="http://test", headers=HEADERS)


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def body(*messages: Any, **more: Any) -> dict[str, Any]:
    asked = [{"role": "user", "content": "Fix it."}]
    return {"model": "m", "max_tokens": 9, "messages": list(messages) or asked, **more}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


async def test_a_stream_has_the_events_of_the_real_one_in_their_order() -> None:
    async with client(scenario()) as http:
        await http.post("/v1/messages", json=body(stream=True))
        answer = await http.post("/v1/messages", json=body(stream=True))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["request-id"].startswith("req_")
    events = [part.split("\n") for part in answer.text.strip().split("\n\n")]
    names = [name.removeprefix("event: ") for name, _ in events]
    data = [json.loads(line.removeprefix("data: ")) for _, line in events]
    assert names == [one["type"] for one in data]
    shape = [name for at, name in enumerate(names) if at == 0 or names[at - 1] != name]
    once = ["content_block_start", "content_block_delta", "content_block_stop"]
    assert shape == ["message_start", "ping", *once, *once, "message_delta", "message_stop"]
    pieces = [
        one["delta"]["partial_json"]
        for one in data
        if one.get("delta", {}).get("type") == "input_json_delta"
    ]
    assert len(pieces) > 2
    assert json.loads("".join(pieces)) == {"path": "src/deep/in/the/tree.py"}
    assert data[-2]["delta"]["stop_reason"] == "tool_use"
    assert data[-2]["usage"]["output_tokens"] > 0


async def test_without_a_stream_the_message_is_whole() -> None:
    async with client(scenario()) as http:
        busy = await http.post("/v1/messages", json=body())
        answer = await http.post("/v1/messages", json=body())
    assert (busy.status_code, busy.json()["error"]["type"]) == (529, "overloaded_error")
    message = answer.json()
    assert [one["type"] for one in message["content"]] == ["text", "tool_use"]
    assert (message["stop_reason"], message["role"], message["model"]) == (
        "tool_use",
        "assistant",
        "m",
    )


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (body(assistant(text("Hi")), user(text("Hi"))), "first message must use"),
        (body(user(text("Hi")), user(text("Hi"))), "roles must alternate"),
        (body(user(text("Hi")), assistant(text("Hi"))), "prefill"),
        (body(user()), "non-empty content"),
        (body(user(text(""))), "must be non-empty"),
        (body(user(text(" "))), "non-whitespace"),
        (body(system=[text("")]), "must be non-empty"),
        (body(user(text("Hi")), assistant(CALL), user(text("Hi"))), "without `tool_result`"),
        (body(user(RESULT)), "unexpected `tool_use_id`"),
        (body(user(text("a")), assistant(CALL, CALL), user(RESULT)), "ids must be unique"),
        (body(user(text("a")), assistant(CALL), user(RESULT, RESULT)), "a single result"),
        (body(user(text("a")), assistant(CALL), user(text("b"), RESULT)), "come before other"),
        (
            body(
                user(text("a")), assistant(CALL), user({**RESULT, "content": "", "is_error": True})
            ),
            "cannot be empty if `is_error`",
        ),
        (body(user(*[text("a", cache_control={"type": "ephemeral"})] * 5)), "maximum of 4"),
        (body(tools=[TOOL, TOOL]), "names must be unique"),
        (body(tools=[{**TOOL, "name": "a b"}]), "should match pattern"),
        (body(tools=[{**TOOL, "input_schema": {}}]), "input_schema.type"),
        (body(temperature=0), "temperature: Extra inputs"),
        (body(max_tokens=0), "max_tokens"),
        ({"model": "m", "max_tokens": 5}, "messages: Field required"),
        ({"model": "m", "max_tokens": 5, "messages": 7}, "shape of a Messages request"),
        (body(user({"type": "tool_use"})), "shape of a Messages request"),
    ],
)
async def test_a_request_that_the_api_would_refuse_is_refused(
    sent: dict[str, Any], said: str
) -> None:
    async with client(scenario()) as http:
        answer = await http.post("/v1/messages", json=sent)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert said in error["message"]


async def test_a_body_that_is_no_json_and_a_path_that_is_not_there_are_refused() -> None:
    async with client(scenario()) as http:
        broken = await http.post("/v1/messages", content=b"{")
        missing = await http.get("/v1/else")
        unversioned = await http.post(
            "/v1/messages", json=body(), headers={"anthropic-version": ""}
        )
    assert broken.json()["error"]["type"] == "invalid_request_error"
    assert missing.json()["error"]["type"] == "not_found_error"
    assert "anthropic-version" in unversioned.json()["error"]["message"]


async def test_a_key_is_taken_from_either_header_and_a_wrong_one_refused() -> None:
    async with client(scenario(key="secret", models=["m"])) as http:
        bearer = {"authorization": "Bearer secret", "x-api-key": ""}
        assert (await http.get("/v1/models")).json()["first_id"] == "m"
        assert (await http.get("/v1/models/m", headers=bearer)).json()["id"] == "m"
        assert (await http.get("/v1/models/n")).status_code == 404
        assert (await http.post("/v1/messages", json=body() | {"model": "n"})).status_code == 404
        for path in ("/v1/models", "/v1/models/m"):
            assert (await http.get(path, headers={"x-api-key": "no"})).status_code == 401
        for path in ("/v1/messages", "/v1/messages/count_tokens"):
            refused = await http.post(path, json=body(), headers={"x-api-key": "no"})
            assert refused.json()["error"]["type"] == "authentication_error"


async def test_tokens_are_counted_without_being_logged(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    sent = body()
    del sent["max_tokens"]
    async with client(scenario(), log) as http:
        answer = await http.post("/v1/messages/count_tokens", json=sent)
    assert answer.json()["input_tokens"] > 0
    assert not log.exists()


def facts(log: Path) -> list[tuple[Any, ...]]:
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
    return [(one["session"], one["turn"], one["status"], one["n"]) for one in lines]


async def test_the_log_tells_what_was_asked_and_how_often_across_a_restart(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log.jsonl"
    marked = body(user(text("Fix it.", cache_control={"type": "ephemeral"})))
    async with client(scenario(), log) as http:
        assert (await http.post("/v1/messages", json=marked)).status_code == 529
    # Killed in the middle of a line.
    with log.open("a") as half:
        half.write('{"at": "2026')
    unmarked = body(user(text("Fix it.")))
    async with client(scenario(), log) as http:
        assert (await http.post("/v1/messages", json=unmarked)).status_code == 200
        assert (await http.post("/v1/messages", json=body(max_tokens=0))).status_code == 400
    assert facts(log) == [("fix", 0, 529, 1), ("fix", 0, 200, 2), (None, 0, 400, 1)]
    digests = [json.loads(line)["digest"] for line in log.read_text().splitlines() if "}" in line]
    assert digests[0] == digests[1] != digests[2]


def test_the_program_prints_its_address_when_it_can_be_called(tmp_path: Path) -> None:
    path, log = tmp_path / "scenario.yaml", tmp_path / "log.jsonl"
    path.write_text(json.dumps({"sessions": SESSIONS}))
    command = [sys.executable, "-m", "worktrain.adapters.models.scripted_http"]
    options = ["--scenario", str(path), "--port", "0", "--log", str(log)]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            answer = httpx2.post(f"{url}/v1/messages", json=body(), headers=HEADERS, timeout=10)
        finally:
            process.terminate()
            process.wait(10)
    assert url.startswith("http://127.0.0.1:")
    assert answer.status_code == 529
    assert facts(log) == [("fix", 0, 529, 1)]


def test_the_program_refuses_a_scenario_that_it_cannot_read(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text("sesions: []")
    done = subprocess.run(
        [sys.executable, "-m", "worktrain.adapters.models.scripted_http", "--scenario", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "sessions: Field required" in done.stderr
