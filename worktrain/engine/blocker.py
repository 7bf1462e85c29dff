"""What is said of a delivery that is refused: within limits, with the nearest valid thing."""

import json
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from worktrain.contracts.turn import Blocker, BlockerCode, Pointer
from worktrain.engine.conditions import one_line

MESSAGE_CHARS_MAX = 512
FIX_CHARS_MAX = 1024


def blocker(code: BlockerCode, pointer: Pointer, message: str, fix: str) -> Blocker:
    """A blocker within its limits, on one line each, in characters that can be stored."""
    return Blocker(
        code=code,
        pointer=Pointer(kind=pointer.kind, name=one_line(pointer.name, 128)),
        message=one_line(" ".join(message.split()), MESSAGE_CHARS_MAX),
        fix=one_line(" ".join(fix.split()), FIX_CHARS_MAX),
    )


def invalid(kind: str, said: str, fix: str) -> Blocker:
    """The blocker of an artifact of this kind."""
    pointer = Pointer(kind="output_contract", name=kind)
    return blocker(BlockerCode.INVALID_REQUIRED_OUTPUT, pointer, said, fix)


def closest(wrong: str, known: Sequence[str]) -> str | None:
    """What was probably meant, whatever its case."""
    lowered = {one.casefold(): one for one in known}
    found = get_close_matches(wrong[:100].strip().casefold(), lowered, n=1)
    return lowered[found[0]] if found else None


def in_json(value: Any, characters_max: int = FIX_CHARS_MAX) -> str:
    """A value as it can be copied, cut where it is too long. Never raises."""
    try:
        return one_line(json.dumps(value, ensure_ascii=False, default=str), characters_max)
    except RecursionError:
        return "nested too deeply to be shown"
