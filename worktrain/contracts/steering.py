"""What an operator may say to running work. Each is an update: the sender is told at once."""

from typing import Literal

from worktrain.contracts.base import Value


class Order(Value):
    """Pause or resume."""

    by: str


class Answer(Value):
    """An answer to a session's question."""

    question: str
    text: str
    by: str


class GateAnswer(Value):
    """An answer to a pipeline's gate; `gate` None means the one that is open."""

    answer: Literal["approved", "rejected"]
    by: str
    gate: str | None = None
    reason: str = ""
    channel: str = "cli"
    """Where it was said: cli, console, forge."""


class Gate(Value):
    """A point that is not passed without an answer."""

    id: str
    text: str
    deadline_s: float | None = None
    """Seconds until the work ends without an answer; None waits for ever. Never a yes."""
    reason_wanted: bool = False
    """Whether an approval has to say why: it waives something."""


class Rewind(Value):
    """Put a session back to a checkpoint, or to the newest one of a step."""

    to: str
    """Id of a checkpoint, or of a step."""
    reason: str
    by: str
