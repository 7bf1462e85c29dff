"""What a workflow is told of a model's reply: references and previews, never the talk itself."""

import json
from collections.abc import Mapping
from typing import Any

from worktrain.contracts.base import digest
from worktrain.contracts.tool import DECIDED_BY_ENGINE
from worktrain.contracts.turn import (
    ModelReply,
    TextBlock,
    ToolCall,
    ToolUseBlock,
    TurnReply,
    TurnRequest,
)

PREVIEW_MAX = 120
_TELLING = ("command", "filePath", "file_path", "pattern", "summary", "notes")
"""Arguments that say most about a call, best first."""


def key_of(request: TurnRequest) -> str:
    """The identity of a model call: the same request is the same call, and is paid once."""
    return digest(request.model_dump_json())


def reply_id(key: str) -> str:
    """The id of the message that answers the call with this key."""
    return f"a{key[:31]}"


def answer_of(key: str, reply: ModelReply) -> TurnReply:
    """What the workflow needs in order to decide what is next."""
    texts = [block.text for block in reply.blocks if isinstance(block, TextBlock)]
    return TurnReply(
        head=reply_id(key),
        stop=reply.stop,
        calls=tuple(_call(block) for block in reply.blocks if isinstance(block, ToolUseBlock)),
        preview=shortened(" ".join(texts), PREVIEW_MAX),
        usage=reply.usage,
        cost_microdollars=reply.cost_microdollars,
        model=reply.model,
    )


def _call(block: ToolUseBlock) -> ToolCall:
    return ToolCall(
        id=block.id,
        name=block.name,
        preview=shortened(f"{block.name} {_gist(block.input)}", PREVIEW_MAX),
        input=block.input if block.name in DECIDED_BY_ENGINE else None,
    )


def _gist(arguments: Mapping[str, Any]) -> str:
    for name in _TELLING:
        if isinstance(value := arguments.get(name), str):
            return value
    return json.dumps(arguments) if arguments else ""


def shortened(text: str, length: int) -> str:
    """`text` on one line, at most `length` characters, an ellipsis where it was cut.

    What a terminal would obey instead of showing it is left out: an agent wrote this.
    """
    # Long texts are only looked at as far as they can be shown.
    seen = text[: length * 4]
    line = " ".join(seen.split())
    if not line.isprintable():
        words = ("".join(one for one in word if one.isprintable()) for word in line.split())
        line = " ".join(word for word in words if word)
    if len(line) > length or len(seen) < len(text):
        return line[: length - 1] + "…"
    return line
