"""What the store keeps beyond blobs: rows that edges read back."""

from typing import Literal

from worktrain.contracts.base import Value
from worktrain.contracts.proof import Decision
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


class Decided(Value):
    """What a person decided, kept where the proof can find it."""

    pipeline: str
    key: str
    decision: Decision


class Seen(Value):
    """Something that an activity found out for a pipeline, kept for the proof to be built from.

    `body` is the JSON of a `Verification`, an `Examination` or a `Decision`."""

    key: str
    kind: Literal["verification", "examination", "decision"]
    body: str


class Lesson(Value):
    """What a pipeline taught those that come after it in the same repository."""

    pipeline: str
    at_s: float
    said: str
