"""Claude, and every server that speaks the same Messages API, as a model client.

The SDK is imported when it is first needed: it costs more than a second of CPU.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

from worktrain.adapters.models.failures import causes_of, failure, line_of, retry_after_s, told
from worktrain.adapters.models.prices import cost_microdollars
from worktrain.contracts.base import JsonObject
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.turn import (
    Block,
    Message,
    ModelReply,
    ModelRequest,
    OpaqueBlock,
    StopReason,
    TextBlock,
    ToolResultBlock,
    ToolUseBlock,
    Usage,
)

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

logger = logging.getLogger(__name__)

LINGER_S = 2.0
"""How long a finished reply may take to close its stream, so that the connection is kept."""


def connect(api_key: str | None = None, base_url: str | None = None) -> "AsyncAnthropic":
    """A client that tries once; None means what the SDK finds in its usual environment.

    Raises `AdapterError`: auth, misconfigured.
    """
    from anthropic import AnthropicError, AsyncAnthropic
    from httpx2 import InvalidURL

    try:
        return AsyncAnthropic(api_key=api_key or None, base_url=base_url or None, max_retries=0)
    except (AnthropicError, InvalidURL) as error:
        no_url = isinstance(error, InvalidURL)
        kind = FailureKind.MISCONFIGURED if no_url else FailureKind.AUTH
        what = "its base URL is not a URL" if no_url else "no usable credentials were found"
        why = f"{what} ({line_of(str(error))})"
        raise told(kind, "Setting up the model client", why) from error


class AnthropicModel:
    """`idle_s` is how long a reply may be silent, pings included, before it is given up."""

    def __init__(self, client: "AsyncAnthropic", idle_s: float = 300) -> None:
        self._client = client
        self._idle_s = idle_s

    async def reply(self, request: ModelRequest, progress: Callable[[str], None]) -> ModelReply:
        import anthropic
        import httpx2

        attempt = f"Asking {request.model!r} at {self._client.base_url.netloc.decode()} for a turn"
        answer = _Answer(attempt, self._redacted)
        now = asyncio.get_running_loop().time
        try:
            async with (
                asyncio.timeout(self._idle_s) as watchdog,
                self._client.messages.with_streaming_response.create(
                    **body(request),
                    timeout=anthropic.Timeout(self._idle_s, connect=10.0, read=None),
                ) as response,
                # The SDK's own stream hides pings and insists on fields that other servers omit.
                aclosing(
                    cast(
                        "AsyncGenerator[Any]",
                        anthropic.AsyncStream.raw_events(response.http_response),
                    )
                ) as events,
            ):
                async for event in events:
                    progress(answer.take(event.data))
                    silence_s = LINGER_S if answer.complete else self._idle_s
                    watchdog.reschedule(now() + silence_s)
        except TimeoutError as error:
            if not watchdog.expired():
                raise
            if not answer.complete:
                raise told(
                    FailureKind.STALLED, attempt, f"nothing was heard for {self._idle_s:g} s"
                ) from error
        except (
            anthropic.AnthropicError,
            httpx2.HTTPError,
            UnicodeDecodeError,
            TypeError,
        ) as error:
            if not answer.complete:
                failure = self._failure(error, attempt)
                # A cause is written down with its failure, and some name the offending header.
                leaks = any(secret in causes_of(error) for secret in self._secrets())
                raise failure from (None if leaks else error)
        return answer.reply(request)

    def _failure(self, error: Exception, attempt: str) -> AdapterError:
        import anthropic
        import httpx2

        causes = causes_of(error)
        if isinstance(error, anthropic.APIStatusError):
            return failure(
                attempt,
                error.status_code,
                str(error.type or ""),
                self._redacted(str(error.api_message or error.message)),
                retry_after_s(error.response.headers),
            )
        if isinstance(error, TypeError) and "authentication method" not in causes:
            raise error
        if isinstance(error, httpx2.HTTPError | UnicodeDecodeError | anthropic.APIConnectionError):
            if "header value" in causes:
                what = "the key has a character that no header may carry, perhaps a line end"
                return told(FailureKind.AUTH, attempt, what)
            what = f"the connection failed ({self._redacted(causes)})"
            return told(FailureKind.UNREACHABLE, attempt, what)
        return told(FailureKind.AUTH, attempt, "there is no key to show")

    def _secrets(self) -> tuple[str, ...]:
        known = (self._client.api_key, self._client.auth_token)
        return tuple(secret.strip() for secret in known if secret and len(secret.strip()) > 3)

    def _redacted(self, text: str) -> str:
        for secret in self._secrets():
            text = text.replace(secret, "[key]")
        return text


# --- what is sent --------------------------------------------------------------------------

CACHEABLE = frozenset({"text", "tool_use", "tool_result"})
"""Types of blocks that may carry a cache marker; thinking may not."""


def body(request: ModelRequest) -> JsonObject:
    """The request as the API takes it: equal requests give equal bytes.

    Up to four cache markers: last tool, last system layer, first message, last message.
    """
    tools: list[JsonObject] = [
        {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
        for tool in request.tools
    ]
    system: list[JsonObject] = [
        {"type": "text", "text": layer} for layer in request.system if layer.strip()
    ]
    messages: list[JsonObject] = []
    for message in request.messages:
        content = _content(message)
        if messages and messages[-1]["role"] == message.role:
            # The message between them had nothing that could be sent.
            messages[-1]["content"].extend(content)
        elif content:
            messages.append({"role": message.role, "content": content})
    _mark(tools)
    _mark(system)
    if messages:
        _mark(messages[0]["content"])
        _mark(messages[-1]["content"])
    return {
        "model": request.model,
        "max_tokens": request.max_tokens,
        "stream": True,
        **({"tools": tools} if tools else {}),
        **({"system": system} if system else {}),
        "messages": messages,
    }


def _content(message: Message) -> list[JsonObject]:
    wired: list[JsonObject] = []
    for block in message.blocks:
        match block:
            case OpaqueBlock():
                wired.append(block.raw)
            case TextBlock() if block.text.strip():
                wired.append({"type": "text", "text": block.text})
            case ToolUseBlock():
                wired.append(
                    {"type": "tool_use", "id": block.id, "name": block.name, "input": block.input}
                )
            case ToolResultBlock():
                result = {"type": "tool_result", "tool_use_id": block.tool_use_id}
                # The API refuses an error without a text.
                said = block.content or ("(no output)" if block.is_error else "")
                error = {"is_error": True} if block.is_error else {}
                wired.append({**result, "content": said, **error})
    return wired


def _mark(items: list[JsonObject]) -> None:
    """Mark the last item that may be marked; an opaque block is copied, never changed."""
    for index in range(len(items) - 1, -1, -1):
        if items[index].get("type", "text") in CACHEABLE:
            items[index] = {**items[index], "cache_control": {"type": "ephemeral"}}
            return


# --- what comes back -----------------------------------------------------------------------

STOPS: Mapping[str, StopReason] = {
    "end_turn": StopReason.END_TURN,
    "tool_use": StopReason.TOOL_USE,
    "max_tokens": StopReason.MAX_TOKENS,
    "refusal": StopReason.REFUSAL,
    "pause_turn": StopReason.END_TURN,
    "stop_sequence": StopReason.END_TURN,
}


def stop_of(raw: str | None, blocks: tuple[Block, ...], attempt: str) -> StopReason:
    """What ended a reply. Tool calls decide where a server's word for it does not fit them.

    Raises `AdapterError`: context_too_long.
    """
    if raw == "model_context_window_exceeded":
        raise told(FailureKind.CONTEXT_TOO_LONG, attempt, "the model's context window was full")
    stop = STOPS.get(raw or "", StopReason.END_TURN)
    if stop in (StopReason.END_TURN, StopReason.TOOL_USE):
        calls = any(isinstance(block, ToolUseBlock) for block in blocks)
        return StopReason.TOOL_USE if calls else StopReason.END_TURN
    return stop


class _Answer:
    """A streamed reply, put together event by event."""

    def __init__(self, attempt: str, redacted: Callable[[str], str]) -> None:
        self.complete = False
        self._attempt = attempt
        self._redacted = redacted
        self._model = ""
        self._stop: str | None = None
        self._usage: dict[str, int] = {}
        self._blocks: dict[int, JsonObject] = {}
        self._inputs: dict[int, str] = {}

    def take(self, data: str) -> str:
        """Fold one event in and say in a few words what it was."""
        try:
            return self._fold(json.loads(data)) if data else "ping"
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._unreadable(f"an event was {line_of(self._redacted(data), 80)!r}") from error

    def _fold(self, event: JsonObject) -> str:
        match event["type"]:
            case "message_start":
                message = event["message"]
                self._model = message.get("model") or ""
                self._count(message.get("usage"))
            case "content_block_start":
                self._blocks[event["index"]] = dict(event["content_block"])
            case "content_block_delta":
                return self._grow(event["index"], event["delta"])
            case "message_delta":
                self._stop = event["delta"].get("stop_reason") or self._stop
                self._count(event.get("usage"))
            case "message_stop":
                self.complete = True
            case "error":
                error = event["error"]
                said = self._redacted(str(error.get("message", "")))
                raise failure(self._attempt, 200, str(error.get("type", "")), said)
        return str(event["type"])[:40]

    def _grow(self, index: int, delta: JsonObject) -> str:
        block = self._blocks[index]
        if delta["type"] == "input_json_delta":
            text = self._inputs[index] = self._inputs.get(index, "") + delta["partial_json"]
            return f"{str(block.get('name', 'input'))[:40]} {len(text):,} chars"
        if delta["type"] == "citations_delta":
            block["citations"] = [*(block.get("citations") or []), delta["citation"]]
            return "citation"
        # Every other kind of delta names the field that it continues.
        grown = {key: piece for key, piece in delta.items() if key != "type" and piece}
        for key, piece in grown.items():
            block[key] = (block.get(key) or type(piece)()) + piece
        size = sum(len(block[key]) for key in grown)
        return f"{str(block['type'])[:40]} {size:,} chars"

    def _count(self, usage: JsonObject | None) -> None:
        """Counts are cumulative; a zero after a number is a server that does not count."""
        for key, value in (usage or {}).items():
            if isinstance(value, int) and value > 0:
                self._usage[key] = value

    def reply(self, request: ModelRequest) -> ModelReply:
        if not self.complete and self._stop is None:
            raise self._unreadable("it ended in the middle")
        blocks = self._read_blocks()
        usage = Usage(
            input=self._usage.get("input_tokens", 0),
            output=self._usage.get("output_tokens", 0),
            cache_read=self._usage.get("cache_read_input_tokens", 0),
            cache_write=self._usage.get("cache_creation_input_tokens", 0),
        )
        return ModelReply(
            blocks=blocks,
            stop=stop_of(self._stop, blocks, self._attempt),
            usage=usage,
            model=self._model or request.model,
            cost_microdollars=cost_microdollars(request.model, usage),
        )

    def _read_blocks(self) -> tuple[Block, ...]:
        blocks: list[Block] = []
        ids: set[str] = set()
        for index in sorted(self._blocks):
            block = self._whole_block(index)
            if block is None:
                logger.info("tool call dropped that the output limit cut off")
                continue
            if block.get("type") == "tool_use":
                # Small servers give no id, or the same one twice.
                call = str(block.get("id") or "call")
                call = f"{call}-{index}" if call in ids or not block.get("id") else call
                ids.add(call)
                blocks.append(self._call(call, block))
            elif block.get("type") != "text":
                blocks.append(OpaqueBlock(raw=block))
            elif str(block.get("text") or "").strip():
                blocks.append(TextBlock(text=str(block["text"])))
        return tuple(blocks)

    def _whole_block(self, index: int) -> JsonObject | None:
        """A block with the input that was streamed for it; None for a call that was cut off."""
        block = self._blocks[index]
        cut = self._stop == "max_tokens" and index == max(self._blocks)
        streamed = self._inputs.get(index, "").strip()
        if not streamed:
            missing = block.get("type") == "tool_use" and not block.get("input")
            return None if cut and missing else _without_lone_surrogates(block)
        try:
            return _without_lone_surrogates({**block, "input": json.loads(streamed)})
        except ValueError as error:
            if cut:
                return None
            raise self._unreadable("the input of a tool call is not JSON") from error

    def _call(self, call: str, block: JsonObject) -> ToolUseBlock:
        try:
            return ToolUseBlock(id=call, name=block["name"], input=block.get("input") or {})
        except (ValueError, KeyError) as error:
            raise self._unreadable("a tool call has no name, or no object as input") from error

    def _unreadable(self, what: str) -> AdapterError:
        return told(FailureKind.UNREACHABLE, self._attempt, f"the reply could not be read: {what}")


def _without_lone_surrogates(block: JsonObject) -> JsonObject:
    """JSON may escape half a character, which nothing can store or send again."""
    text = json.dumps(block, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return cast(JsonObject, json.loads(text.encode(errors="replace")))
    return block
