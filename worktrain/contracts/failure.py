"""What can go wrong outside, and what is done about each kind."""

from enum import StrEnum

from worktrain.contracts.base import Value


class FailureKind(StrEnum):
    """Why a call to the outside failed. `TREATMENT` has one row for each."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    UNREACHABLE = "unreachable"
    STALLED = "stalled"
    INTERRUPTED = "interrupted"
    AUTH = "auth"
    NOT_FOUND = "not_found"
    MISSING_PROGRAM = "missing_program"
    NO_SANDBOX = "no_sandbox"
    DISK_FULL = "disk_full"
    MISCONFIGURED = "misconfigured"
    CONTEXT_TOO_LONG = "context_too_long"
    REFUSED = "refused"
    INVALID = "invalid"
    CONFLICT = "conflict"
    UNAFFORDABLE = "unaffordable"
    """The budget does not pay for the next call."""
    INTERNAL = "internal"


class Treatment(StrEnum):
    """What happens next."""

    RETRY = "retry"
    """Temporal tries again; when it gives up, the failure is held."""
    HOLD = "hold"
    """Only a person can change the cause: the work waits where it is until `resume`."""
    END = "end"
    """Trying again would fail again: it becomes the named ending."""


TREATMENT: dict[FailureKind, Treatment] = {
    FailureKind.RATE_LIMITED: Treatment.RETRY,
    FailureKind.OVERLOADED: Treatment.RETRY,
    FailureKind.UNREACHABLE: Treatment.RETRY,
    FailureKind.STALLED: Treatment.RETRY,
    FailureKind.INTERRUPTED: Treatment.RETRY,
    FailureKind.AUTH: Treatment.HOLD,
    FailureKind.NOT_FOUND: Treatment.HOLD,
    FailureKind.MISSING_PROGRAM: Treatment.HOLD,
    FailureKind.NO_SANDBOX: Treatment.HOLD,
    FailureKind.DISK_FULL: Treatment.HOLD,
    FailureKind.MISCONFIGURED: Treatment.HOLD,
    FailureKind.CONTEXT_TOO_LONG: Treatment.END,
    FailureKind.REFUSED: Treatment.END,
    FailureKind.INVALID: Treatment.END,
    FailureKind.CONFLICT: Treatment.END,
    FailureKind.UNAFFORDABLE: Treatment.END,
    FailureKind.INTERNAL: Treatment.HOLD,
}


class Failure(Value):
    """A failed call, told in a sentence for a tired operator."""

    kind: FailureKind
    said: str
    """What was attempted, what happened, what can be done."""


class AdapterError(Exception):
    """The outside did not do what it was asked.

    `said` is one sentence: what was attempted, what happened, what can be done.
    `retry_after_s` is what the outside asked for, in seconds.
    """

    def __init__(self, kind: FailureKind, said: str, retry_after_s: float | None = None) -> None:
        super().__init__(said)
        self.kind = kind
        self.said = said
        self.retry_after_s = retry_after_s
