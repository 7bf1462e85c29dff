"""The Messages API on the wire, as a server sees it: what a request says, how a reply is sent."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from worktrain.adapters.models.scenario import ApiError, Refused, Said
from worktrain.contracts.base import JsonObject
from worktrain.contracts.turn import (
    Block,
    Message,
    ModelRequest,
    OpaqueBlock,
    TextBlock,
    ToolResultBlock,
    ToolSchema,
    ToolUseBlock,
    Usage,
)

PIECE_CHARS = 24
"""A streamed reply comes in pieces of this length."""


# --- requests ------------------------------------------------------------------------------


def parsed(body: JsonObject) -> ModelRequest:
    """A request that breaks no rule, as the adapter was given it."""
    return ModelRequest(
        model=body["model"],
        system=tuple(layer["text"] for layer in layers_of(body)),
        tools=tuple(
            ToolSchema(
                name=tool["name"],
                description=tool.get("description", ""),
                parameters=tool["input_schema"],
            )
            for tool in body.get("tools") or []
        ),
        messages=tuple(
            Message(role=message["role"], blocks=tuple(map(_block, blocks_of(message))))
            for message in body["messages"]
        ),
        max_tokens=body["max_tokens"],
    )


def layers_of(body: JsonObject) -> list[JsonObject]:
    """The blocks of the system prompt."""
    return _listed(body.get("system") or [])


def blocks_of(message: JsonObject) -> list[JsonObject]:
    """The blocks of a message."""
    return _listed(message["content"])


def marked(body: JsonObject) -> list[list[JsonObject]]:
    """The lists whose items may carry a cache marker."""
    messages = body.get("messages")
    contents = [
        message.get("content")
        for message in (messages if isinstance(messages, list) else [])
        if isinstance(message, dict)
    ]
    lists = [body.get("tools"), body.get("system"), *contents]
    return [one for one in lists if isinstance(one, list)]


def unmarked(body: JsonObject) -> JsonObject:
    """A copy without cache markers: what the request says."""
    copy: JsonObject = json.loads(json.dumps(body))
    for items in marked(copy):
        for item in items:
            if isinstance(item, dict):
                item.pop("cache_control", None)
    return copy


def _listed(content: Any) -> list[JsonObject]:
    """Blocks as a list: a text that stands alone is one."""
    return [_text(content)] if isinstance(content, str) else content


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def _block(raw: JsonObject) -> Block:
    match raw["type"]:
        case "text":
            return TextBlock(text=raw["text"])
        case "tool_use":
            return ToolUseBlock(id=raw["id"], name=raw["name"], input=raw["input"])
        case "tool_result":
            return ToolResultBlock(
                tool_use_id=raw["tool_use_id"],
                content="\n".join(
                    part.get("text", "") for part in _listed(raw.get("content") or "")
                ),
                is_error=raw.get("is_error", False),
            )
    return OpaqueBlock(raw=raw)


# --- replies -------------------------------------------------------------------------------


def whole(message_id: str, model: str, said: Said) -> JsonObject:
    """A reply in one piece."""
    return {
        **_head(message_id, model, said),
        "content": _wire(said),
        "stop_reason": said.stop,
        "usage": _usage(said),
    }


async def stream(message_id: str, model: str, said: Said | Refused) -> AsyncIterator[str]:
    """A reply event by event; one that is refused breaks off in the middle."""
    yield _event("message_start", message=_head(message_id, model, said))
    yield _event("ping")
    if isinstance(said, Refused):
        yield _event("content_block_start", index=0, content_block=_text(""))
        yield _event("content_block_delta", index=0, delta={"type": "text_delta", "text": "I "})
        yield _event("error", error=error_of(said.error))
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


def error_of(error: ApiError) -> JsonObject:
    """An error as it stands in an answer and in a stream."""
    return {"type": error.type, "message": error.message}


def _event(kind: str, **fields: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"


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
    usage = said.usage if isinstance(said, Said) else Usage()
    return {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output,
    }


def _wire(said: Said) -> list[JsonObject]:
    return [
        block.raw if isinstance(block, OpaqueBlock) else block.model_dump(mode="json")
        for block in said.blocks
    ]


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
            whole_input = json.dumps(block["input"]) if block["input"] else ""
            parts = ["", *_cut(whole_input)]
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
            return {**block, "input": {}}, deltas
    return block, []


def _cut(text: str) -> list[str]:
    return [text[at : at + PIECE_CHARS] for at in range(0, len(text), PIECE_CHARS)]
