"""A server that speaks the Anthropic Messages API and says what a scenario says."""

import argparse
import asyncio
import hmac
import json
import re
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from worktrain.adapters.models.scenario import (
    ApiError,
    Refused,
    Said,
    Scenario,
    answer,
    load,
)
from worktrain.contracts.base import JsonObject, digest
from worktrain.contracts.failure import AdapterError
from worktrain.contracts.turn import (
    Block,
    Message,
    ModelRequest,
    OpaqueBlock,
    TextBlock,
    ToolResultBlock,
    ToolSchema,
    ToolUseBlock,
)

PIECE_CHARS = 24
MARKERS_MAX = 4
PARAMETERS = frozenset(
    {
        "model",
        "max_tokens",
        "messages",
        "system",
        "tools",
        "tool_choice",
        "stream",
        "stop_sequences",
        "metadata",
        "thinking",
        "output_config",
        "service_tier",
        "cache_control",
        "container",
        "diagnostics",
        "inference_geo",
        "speed",
    }
)
NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


def app(scenario: Scenario, log: Path | None = None) -> Starlette:
    """The server; requests to /v1/messages are appended to `log`, one JSON object a line.

    How often a request was seen survives a restart with the same log.
    """
    ledger = _Ledger(log)

    async def messages(request: Request) -> Response:
        body, error = await _read(request, scenario)
        name = digest(json.dumps(_unmarked(body), sort_keys=True))
        seen = ledger.seen[name]
        said = (
            Refused(None, 0, error) if error is not None else answer(scenario, parsed(body), seen)
        )
        status = said.error.status if isinstance(said, Refused) else 200
        if status == 200 and isinstance(said, Refused) and not body.get("stream"):
            status = 529
        ledger.add(
            digest=name,
            session=said.session,
            turn=said.turn,
            status=status,
            n=seen + 1,
            input_tokens=said.usage.sent if isinstance(said, Said) else 0,
        )
        request_id = f"req_{name[:20]}{seen:04}"
        if isinstance(said, Refused) and status != 200:
            return _refusal(said.error, status, request_id)
        message_id = f"msg_{name[:24]}"
        if not body.get("stream"):
            assert isinstance(said, Said)
            await asyncio.sleep(said.delay_s)
            whole = {**_head(message_id, body["model"], said), "content": _wire(said)}
            whole |= {"stop_reason": said.stop, "usage": _usage(said)}
            return JSONResponse(whole, headers={"request-id": request_id})
        return StreamingResponse(
            _stream(message_id, body["model"], said),
            media_type="text/event-stream",
            headers={"request-id": request_id, "cache-control": "no-cache"},
        )

    async def count_tokens(request: Request) -> Response:
        body, error = await _read(request, scenario, counting=True)
        if error is not None:
            return _refusal(error, error.status, "req_count")
        return JSONResponse({"input_tokens": max(1, len(json.dumps(_unmarked(body))) // 4)})

    async def models(request: Request) -> Response:
        if (error := _unauthorised(request, scenario)) is not None:
            return _refusal(error, error.status, "req_models")
        data = [_model(name) for name in scenario.models or ()]
        ends = {f"{end}_id": data[at]["id"] if data else None for end, at in _ENDS}
        return JSONResponse({"data": data, "has_more": False, **ends})

    async def model(request: Request) -> Response:
        name = request.path_params["name"]
        error = _unauthorised(request, scenario) or _unknown(name, scenario)
        if error is not None:
            return _refusal(error, error.status, "req_models")
        return JSONResponse(_model(name))

    async def nothing(request: Request, _: Exception) -> Response:
        return _refusal(_not_found(f"{request.method} {request.url.path}"), 404, "req_none")

    return Starlette(
        routes=[
            Route("/v1/messages", messages, methods=["POST"]),
            Route("/v1/messages/count_tokens", count_tokens, methods=["POST"]),
            Route("/v1/models", models),
            Route("/v1/models/{name:path}", model),
        ],
        exception_handlers={404: nothing, 405: nothing},
    )


def main(arguments: list[str] | None = None) -> int:
    """Serve on loopback until told to end; prints {"url": ...} when it can be called."""
    import uvicorn

    parser = argparse.ArgumentParser(prog="scripted_http", description=__doc__)
    parser.add_argument("--scenario", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    options = parser.parse_args(arguments)
    try:
        scenario = load(options.scenario)
    except AdapterError as error:
        sys.stderr.write(error.said + "\n")
        return 2
    with socket.create_server(("127.0.0.1", options.port)) as listening:
        config = uvicorn.Config(
            app(scenario, options.log), log_level="warning", timeout_graceful_shutdown=1
        )
        # From here on the kernel keeps callers waiting, so none is turned away.
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        sys.stdout.write(json.dumps({"url": url}) + "\n")
        sys.stdout.flush()
        uvicorn.Server(config).run(sockets=[listening])
    return 0


class _Ledger:
    """What was asked, and how often."""

    def __init__(self, path: Path | None) -> None:
        self.seen: Counter[str] = Counter()
        self._path = path
        if path is None or not path.exists():
            return
        text = path.read_text(encoding="utf-8")
        for line in text.splitlines():
            # The last line is half a line when the process was killed while writing it.
            if line.endswith("}"):
                self.seen[json.loads(line)["digest"]] += 1
        if text and not text.endswith("\n"):
            self._write("\n")

    def add(self, **fact: Any) -> None:
        self.seen[fact["digest"]] += 1
        self._write(json.dumps({"at": datetime.now(UTC).isoformat(), **fact}) + "\n")

    def _write(self, text: str) -> None:
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as log:
                log.write(text)


# --- requests ------------------------------------------------------------------------------


async def _read(
    request: Request, scenario: Scenario, counting: bool = False
) -> tuple[JsonObject, ApiError | None]:
    """The body, and why it is refused, if it is."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return {}, _unauthorised(request, scenario) or _invalid("the body is not a JSON object")
    wrong = None
    if not request.headers.get("anthropic-version"):
        wrong = _invalid("anthropic-version: header is required")
    elif (said := problem(body, counting)) is not None:
        wrong = _invalid(said)
    return body, (
        _unauthorised(request, scenario) or wrong or _unknown(str(body.get("model")), scenario)
    )


def problem(body: JsonObject, counting: bool = False) -> str | None:
    """What the real API would refuse in this request, in its manner of speaking."""
    try:
        return next(_problems(body, counting), None)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        return f"the request has not the shape of a Messages request ({error!r})"


def _problems(body: JsonObject, counting: bool) -> Any:
    yield from (f"{key}: Extra inputs are not permitted" for key in body if key not in PARAMETERS)
    required = ("model", "messages") if counting else ("model", "messages", "max_tokens")
    yield from (f"{key}: Field required" for key in required if key not in body)
    if not counting and not (type(body["max_tokens"]) is int and body["max_tokens"] >= 1):
        yield "max_tokens: Input should be greater than or equal to 1"
    yield from _tool_problems(body.get("tools") or [])
    if not body["messages"]:
        yield "messages: at least one message is required"
    if body["messages"][0]["role"] != "user":
        yield 'messages: first message must use the "user" role'
    if body["messages"][-1]["role"] != "user":
        yield "This model does not support assistant message prefill"
    system = body.get("system") or []
    layers = [_text(system)] if isinstance(system, str) else system
    yield from _block_problems("system", layers)
    before: JsonObject = {"role": "assistant", "content": []}
    for index, message in enumerate(body["messages"]):
        at = f"messages.{index}"
        if message["role"] not in ("user", "assistant"):
            yield f"{at}.role: Input should be 'user' or 'assistant'"
        if message["role"] == before["role"]:
            yield f"{at}: roles must alternate between user and assistant"
        if not message["content"]:
            yield f"{at}: all messages must have non-empty content"
        yield from _block_problems(at, _blocks(message))
        yield from _pairing_problems(at, before, message)
        before = message
    if (count := _markers(body)) > MARKERS_MAX:
        yield (
            f"A maximum of {MARKERS_MAX} blocks with cache_control may be provided. Found {count}."
        )


def _tool_problems(tools: list[JsonObject]) -> Any:
    names = [tool["name"] for tool in tools]
    if len(set(names)) != len(names):
        yield "tools: Tool names must be unique."
    for index, tool in enumerate(tools):
        if not NAME.fullmatch(tool["name"]):
            yield f"tools.{index}.custom.name: String should match pattern '^{NAME.pattern}$'"
        if tool["input_schema"].get("type") != "object":
            yield f"tools.{index}.custom.input_schema.type: Input should be 'object'"


def _block_problems(at: str, blocks: list[JsonObject]) -> Any:
    for index, block in enumerate(blocks):
        place = f"{at}.content.{index}"
        if block["type"] == "text" and not block["text"]:
            yield f"{place}: text content blocks must be non-empty"
        elif block["type"] == "text" and not block["text"].strip():
            yield f"{place}: text content blocks must contain non-whitespace text"
        if block["type"] == "tool_use" and not isinstance(block["input"], dict):
            yield f"{place}.tool_use.input: Input should be an object"
        if block["type"] == "tool_use" and not NAME.fullmatch(block["id"]):
            yield f"{place}.tool_use.id: String should match pattern '^{NAME.pattern}$'"
        if block.get("is_error") and not block.get("content"):
            yield f"{place}: content cannot be empty if `is_error` is true"
        if "thinking" in block["type"] and "cache_control" in block:
            yield f"{place}.{block['type']}.cache_control: Extra inputs are not permitted"


def _pairing_problems(at: str, before: JsonObject, message: JsonObject) -> Any:
    asked = [block["id"] for block in _blocks(before) if block["type"] == "tool_use"]
    blocks = _blocks(message)
    answered = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
    if len(set(asked)) != len(asked):
        yield f"{at}: `tool_use` ids must be unique"
    if missing := [call for call in asked if call not in answered]:
        yield (
            f"{at}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(missing)}"
        )
    if stray := [call for call in answered if call not in asked]:
        yield f"{at}: unexpected `tool_use_id` found in `tool_result` blocks: {', '.join(stray)}"
    if len(set(answered)) != len(answered):
        yield f"{at}: each `tool_use` must have a single result"
    if any(block["type"] != "tool_result" for block in blocks[: len(answered)]):
        yield f"{at}: `tool_result` blocks must come before other content"


def _unauthorised(request: Request, scenario: Scenario) -> ApiError | None:
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    shown = request.headers.get("x-api-key") or bearer
    if scenario.key is None or hmac.compare_digest(shown.encode(), scenario.key.encode()):
        return None
    return ApiError(status=401, type="authentication_error", message="invalid x-api-key")


def _unknown(model: str, scenario: Scenario) -> ApiError | None:
    known = scenario.models is None or model in scenario.models
    return None if known else _not_found(f"model: {model}")


def _not_found(what: str) -> ApiError:
    return ApiError(status=404, type="not_found_error", message=what)


def _invalid(what: str) -> ApiError:
    return ApiError(status=400, type="invalid_request_error", message=what)


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def _blocks(message: JsonObject) -> list[JsonObject]:
    content = message["content"]
    return [_text(content)] if isinstance(content, str) else content


def _marked(body: JsonObject) -> list[list[JsonObject]]:
    """The lists whose items may carry a cache marker."""
    messages = body.get("messages")
    contents = [
        message.get("content")
        for message in (messages if isinstance(messages, list) else [])
        if isinstance(message, dict)
    ]
    lists = [body.get("tools"), body.get("system"), *contents]
    return [one for one in lists if isinstance(one, list)]


def _markers(body: JsonObject) -> int:
    return sum("cache_control" in item for items in _marked(body) for item in items)


def _unmarked(body: JsonObject) -> JsonObject:
    """A copy without cache markers: what the request says."""
    copy: JsonObject = json.loads(json.dumps(body))
    for items in _marked(copy):
        for item in items:
            if isinstance(item, dict):
                item.pop("cache_control", None)
    return copy


def parsed(body: JsonObject) -> ModelRequest:
    """A request that has no `problem`, as the adapter was given it."""
    system = body.get("system") or []
    layers = [_text(system)] if isinstance(system, str) else system
    return ModelRequest(
        model=body["model"],
        system=tuple(layer["text"] for layer in layers),
        tools=tuple(
            ToolSchema(
                name=tool["name"],
                description=tool.get("description", ""),
                parameters=tool["input_schema"],
            )
            for tool in body.get("tools") or []
        ),
        messages=tuple(
            Message(role=message["role"], blocks=tuple(map(_block, _blocks(message))))
            for message in body["messages"]
        ),
        max_tokens=body["max_tokens"],
    )


def _block(raw: JsonObject) -> Block:
    match raw["type"]:
        case "text":
            return TextBlock(text=raw["text"])
        case "tool_use":
            return ToolUseBlock(id=raw["id"], name=raw["name"], input=raw["input"])
        case "tool_result":
            content = raw.get("content") or ""
            parts = content if isinstance(content, list) else [_text(content)]
            return ToolResultBlock(
                tool_use_id=raw["tool_use_id"],
                content="\n".join(part.get("text", "") for part in parts),
                is_error=raw.get("is_error", False),
            )
    return OpaqueBlock(raw=raw)


# --- answers -------------------------------------------------------------------------------

_ENDS = (("first", 0), ("last", -1))


def _refusal(error: ApiError, status: int, request_id: str) -> JSONResponse:
    headers = {"request-id": request_id}
    if error.retry_after_s is not None:
        headers["retry-after"] = f"{error.retry_after_s:g}"
    return JSONResponse({**_error_body(error), "request_id": request_id}, status, headers)


def _error_body(error: ApiError) -> JsonObject:
    return {"type": "error", "error": {"type": error.type, "message": error.message}}


def _model(name: str) -> JsonObject:
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
    }


def _head(message_id: str, model: str, said: Said | Refused) -> JsonObject:
    """The message before it says anything."""
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**_usage(said), "output_tokens": 1},
    }


def _usage(said: Said | Refused) -> JsonObject:
    usage = said.usage if isinstance(said, Said) else None
    return {
        "input_tokens": usage.input if usage else 0,
        "cache_creation_input_tokens": usage.cache_write if usage else 0,
        "cache_read_input_tokens": usage.cache_read if usage else 0,
        "output_tokens": usage.output if usage else 0,
    }


def _wire(said: Said) -> list[JsonObject]:
    return [
        block.raw if isinstance(block, OpaqueBlock) else block.model_dump(mode="json")
        for block in said.blocks
    ]


async def _stream(message_id: str, model: str, said: Said | Refused) -> AsyncIterator[str]:
    yield _event("message_start", message=_head(message_id, model, said))
    yield _event("ping")
    if isinstance(said, Refused):
        yield _event("content_block_start", index=0, content_block=_text(""))
        yield _event("content_block_delta", index=0, delta={"type": "text_delta", "text": "I "})
        yield f"event: error\ndata: {json.dumps(_error_body(said.error))}\n\n"
        return
    await asyncio.sleep(said.delay_s)
    for index, block in enumerate(_wire(said)):
        empty, deltas = _pieces(block)
        yield _event("content_block_start", index=index, content_block=empty)
        for delta in deltas:
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    delta = {"stop_reason": said.stop, "stop_sequence": None}
    yield _event("message_delta", delta=delta, usage=_usage(said))
    yield _event("message_stop")


def _pieces(block: JsonObject) -> tuple[JsonObject, list[JsonObject]]:
    """A block as its stream begins, and what is then added to it."""
    match block["type"]:
        case "text":
            deltas = [{"type": "text_delta", "text": part} for part in _cut(block["text"])]
            return {**block, "text": ""}, deltas
        case "thinking":
            deltas = [
                {"type": "thinking_delta", "thinking": part} for part in _cut(block["thinking"])
            ]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
            return {**block, "thinking": "", "signature": ""}, deltas
        case "tool_use":
            # The API begins with an empty piece, and sends no other for an empty input.
            whole = json.dumps(block["input"]) if block["input"] else ""
            parts = ["", *_cut(whole)]
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
            return {**block, "input": {}}, deltas
    return block, []


def _cut(text: str) -> list[str]:
    return [text[at : at + PIECE_CHARS] for at in range(0, len(text), PIECE_CHARS)]


def _event(kind: str, **fields: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"


if __name__ == "__main__":
    sys.exit(main())
