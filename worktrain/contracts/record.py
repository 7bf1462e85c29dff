"""What the store keeps beyond blobs: rows that edges read back."""

from typing import Literal

from worktrain.contracts.base import Value
from worktrain.contracts.turn import Usage


class ToolOutput(Value):
    """What a tool call answered. `interrupted`: it began and no end was ever written."""

    content: str
    ok: bool


class LogLine(Value):
    """One entry of a session's log, oldest first."""

    at_s: float
    session: str
    kind: Literal["said", "turn", "tool", "ended"]
    text: str
    turn: int = 0
    usage: Usage | None = None
    cost_microdollars: int = 0
    ok: bool = True


class EffectRow(Value):
    """An act on the outside: what was intended, and the receipt once it is known."""

    key: str
    intent: str
    receipt: str | None = None
