"""Why a session went the way it went: one entry for every decision of the machine."""

from enum import StrEnum

from worktrain.contracts.base import Value


class TraceKind(StrEnum):
    ENTERED = "entered"
    """A step was begun."""
    DONE = "done"
    SKIPPED = "skipped"
    LOOP_ENTERED = "loop_entered"
    PASS = "pass"  # noqa: S105
    LOOP_LEFT = "loop_left"
    JUMPED = "jumped"
    CONDITION = "condition"
    """A condition that was evaluated and changed nothing."""
    BLOCKED = "blocked"
    ASSESSED = "assessed"
    GATE = "gate"
    GATE_ANSWERED = "gate_answered"
    ASKED = "asked"
    ANSWERED = "answered"
    GATHERED = "gathered"
    DELEGATED = "delegated"
    CHILD_ENDED = "child_ended"
    SIGNAL = "signal"
    REWOUND = "rewound"
    CONTINUED = "continued"
    GIVEN = "given"
    """Context variables were set."""


class Trace(Value):
    """One entry. `n` counts from 1 within a session."""

    n: int
    kind: TraceKind
    step: str
    text: str
    """What and why, in a sentence: conditions with the values that decided them."""
    iteration: int = 0
    """The pass of the loop that it happened in, from 1; 0 outside of loops."""
