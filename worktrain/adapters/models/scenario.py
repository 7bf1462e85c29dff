"""An authored conversation: what a stand-in for a model says, and how it fails."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from worktrain.contracts.base import Authored, JsonObject, digest
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.turn import (
    Block,
    Message,
    ModelRequest,
    OpaqueBlock,
    TextBlock,
    ToolResultBlock,
    ToolUseBlock,
    Usage,
)

CHARS_PER_TOKEN = 4


class ToolCall(Authored):
    tool: str
    input: JsonObject = Field(default_factory=dict)


class Tokens(Authored):
    input: int = Field(default=0, ge=0)
    output: int = Field(default=0, ge=0)
    cache_read: int = Field(default=0, ge=0)
    cache_write: int = Field(default=0, ge=0)


class ApiError(Authored):
    """An error of the Messages API. Status 200 means: in the middle of the stream."""

    status: Literal[200] | Annotated[int, Field(ge=400, le=599)]
    type: str
    message: str
    retry_after_s: float | None = Field(default=None, ge=0)
    times: int = Field(default=1, ge=1)


class Turn(Authored):
    """One reply. `errors` come first, each `times` times, for one and the same request."""

    when: re.Pattern[str] | None = None
    """Searched in the last message; decides between alternatives of a turn."""
    opaque: tuple[JsonObject, ...] = ()
    """Blocks given as they are, before the text: thinking, for example."""
    text: str | None = None
    calls: tuple[ToolCall, ...] = ()
    stop: (
        Literal[
            "end_turn",
            "tool_use",
            "max_tokens",
            "refusal",
            "pause_turn",
            "stop_sequence",
            "model_context_window_exceeded",
        ]
        | None
    ) = None
    usage: Tokens | None = None
    delay_s: float = Field(default=0, ge=0)
    """Silence before the reply, after its stream has begun."""
    delay_times: int | None = Field(default=None, ge=1)
    """How often one and the same request meets the silence; always, when absent."""
    errors: tuple[ApiError, ...] = ()

    @model_validator(mode="after")
    def _says_something(self) -> "Turn":
        # An empty reply is never sent back, so the turn after it could not be told from it.
        if not (self.opaque or self.text or self.calls or self.stop or self.errors):
            raise ValueError("a turn needs one of text, calls, opaque, stop, errors")
        return self


def _listed(alternatives: Any) -> Any:
    return alternatives if isinstance(alternatives, list | tuple) else [alternatives]


Alternatives = Annotated[tuple[Turn, ...], BeforeValidator(_listed), Field(min_length=1)]


class Session(Authored):
    """`match` is searched in the system prompt and the first message."""

    name: str
    match: re.Pattern[str]
    turns: tuple[Alternatives, ...]


class Scenario(Authored):
    sessions: tuple[Session, ...]
    """The first that matches answers."""
    key: str | None = None
    """The key that must be shown, over HTTP."""
    models: tuple[str, ...] | None = None
    """The models that exist; any, when absent."""


def load(path: Path) -> Scenario:
    """Read a scenario file. Raises `AdapterError`: misconfigured, naming the place."""
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Scenario.model_validate(read, extra="forbid")
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc'])) or 'the top'}: {first['msg']}"
        cause: Exception = error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        what, cause = " ".join(str(error).split()), error
    raise AdapterError(
        FailureKind.MISCONFIGURED,
        f"Reading the scenario {path} failed: {what}; correct the file and start again.",
    ) from cause


@dataclass(frozen=True)
class Said:
    """A reply: `stop` in the API's own words."""

    session: str
    turn: int
    blocks: tuple[Block, ...]
    stop: str
    usage: Usage
    delay_s: float


@dataclass(frozen=True)
class Refused:
    """An error; without a session when none was found."""

    session: str | None
    turn: int
    error: ApiError


Scripted = Said | Refused


def answer(scenario: Scenario, request: ModelRequest, seen: int) -> Scripted:
    """What the scenario says to a request that was seen `seen` times before.

    The turn is the number of assistant messages, so a repeated request gets the same answer.
    """
    turn = sum(1 for message in request.messages if message.role == "assistant")
    if scenario.models is not None and request.model not in scenario.models:
        return Refused(None, turn, _error(404, "not_found_error", f"model: {request.model}"))
    opening = "\n".join([*request.system, *map(text_of, request.messages[:1])])
    session = next((one for one in scenario.sessions if one.match.search(opening)), None)
    if session is None:
        return Refused(None, turn, _unscripted(f"no session matches what begins {opening[:200]!r}"))
    last = text_of(request.messages[-1])
    asked = f"turn {turn + 1} of session {session.name!r}, asked with {last[:200]!r},"
    if turn >= len(session.turns):
        return Refused(session.name, turn, _unscripted(f"{asked} is after the last"))
    chosen = next(
        (one for one in session.turns[turn] if one.when is None or one.when.search(last)), None
    )
    if chosen is None:
        return Refused(session.name, turn, _unscripted(f"{asked} has no alternative for it"))
    for error in chosen.errors:
        if seen < error.times:
            return Refused(session.name, turn, error)
        seen -= error.times
    blocks = _blocks(chosen, request)
    return Said(
        session=session.name,
        turn=turn,
        blocks=blocks,
        stop=chosen.stop or ("tool_use" if chosen.calls else "end_turn"),
        usage=Usage(**chosen.usage.model_dump()) if chosen.usage else _usage(request, blocks),
        delay_s=chosen.delay_s if seen < (chosen.delay_times or seen + 1) else 0,
    )


def fingerprint(request: ModelRequest) -> str:
    """Names a request by its ends: how it opens, how long it is and what was said last."""
    ends = (*request.messages[:1], *request.messages[-2:])
    parts = [request.model, str(len(request.messages)), *request.system]
    return digest(json.dumps([*parts, *(message.model_dump_json() for message in ends)]))


def text_of(message: Message) -> str:
    """The text and the tool output of a message."""
    return "\n".join(
        block.text if isinstance(block, TextBlock) else block.content
        for block in message.blocks
        if isinstance(block, TextBlock | ToolResultBlock)
    )


def _blocks(turn: Turn, request: ModelRequest) -> tuple[Block, ...]:
    name = fingerprint(request)[:20] if turn.calls else ""
    return (
        *(OpaqueBlock(raw=raw) for raw in turn.opaque),
        *((TextBlock(text=turn.text),) if turn.text else ()),
        *(
            ToolUseBlock(id=f"toolu_{name}{index:02}", name=call.tool, input=call.input)
            for index, call in enumerate(turn.calls)
        ),
    )


def _usage(request: ModelRequest, blocks: tuple[Block, ...]) -> Usage:
    """As if everything but the last message were in the cache from the second turn on."""
    chars = sum(map(len, request.system)) + sum(len(tool.description) for tool in request.tools)
    chars += sum(_chars(message.blocks) for message in request.messages[:-1])
    cached = -(-chars // CHARS_PER_TOKEN)
    first = len(request.messages) == 1
    return Usage(
        input=-(-_chars(request.messages[-1].blocks) // CHARS_PER_TOKEN),
        output=max(1, -(-_chars(blocks) // CHARS_PER_TOKEN)),
        cache_read=0 if first else cached,
        cache_write=cached if first else 0,
    )


def _chars(blocks: Iterable[Block]) -> int:
    chars = 0
    for block in blocks:
        match block:
            case TextBlock():
                chars += len(block.text)
            case ToolResultBlock():
                chars += len(block.content)
            case ToolUseBlock():
                chars += len(block.name) + sum(
                    len(value) if isinstance(value, str) else 8 for value in block.input.values()
                )
            case OpaqueBlock():
                chars += 100
    return chars


def _unscripted(what: str) -> ApiError:
    return _error(400, "invalid_request_error", f"the scenario has no answer: {what}")


def _error(status: int, kind: str, message: str) -> ApiError:
    return ApiError(status=status, type=kind, message=message)
