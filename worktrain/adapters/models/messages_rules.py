"""What the real Messages API would refuse in a request, in its manner of speaking."""

import re
from collections.abc import Iterator

from worktrain.adapters.models.messages_wire import blocks_of, layers_of, marked
from worktrain.contracts.base import JsonObject

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


def problem(body: JsonObject, counting: bool = False) -> str | None:
    """The first thing that is wrong with a request, or with one that only counts its tokens."""
    try:
        return next(_problems(body, counting), None)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        return f"the request has not the shape of a Messages request ({error!r})"


def _problems(body: JsonObject, counting: bool) -> Iterator[str]:
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
    yield from _block_problems("system", layers_of(body))
    before: JsonObject = {"role": "assistant", "content": []}
    for index, message in enumerate(body["messages"]):
        at = f"messages.{index}"
        if message["role"] not in ("user", "assistant"):
            yield f"{at}.role: Input should be 'user' or 'assistant'"
        if message["role"] == before["role"]:
            yield f"{at}: roles must alternate between user and assistant"
        if not message["content"]:
            yield f"{at}: all messages must have non-empty content"
        yield from _block_problems(at, blocks_of(message))
        yield from _pairing_problems(at, before, message)
        before = message
    if (count := _markers(body)) > MARKERS_MAX:
        yield (
            f"A maximum of {MARKERS_MAX} blocks with cache_control may be provided. Found {count}."
        )


def _tool_problems(tools: list[JsonObject]) -> Iterator[str]:
    names = [tool["name"] for tool in tools]
    if len(set(names)) != len(names):
        yield "tools: Tool names must be unique."
    for index, tool in enumerate(tools):
        if not NAME.fullmatch(tool["name"]):
            yield f"tools.{index}.custom.name: String should match pattern '^{NAME.pattern}$'"
        if tool["input_schema"].get("type") != "object":
            yield f"tools.{index}.custom.input_schema.type: Input should be 'object'"


def _block_problems(at: str, blocks: list[JsonObject]) -> Iterator[str]:
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


def _pairing_problems(at: str, before: JsonObject, message: JsonObject) -> Iterator[str]:
    asked = [block["id"] for block in blocks_of(before) if block["type"] == "tool_use"]
    blocks = blocks_of(message)
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


def _markers(body: JsonObject) -> int:
    return sum("cache_control" in item for items in marked(body) for item in items)
