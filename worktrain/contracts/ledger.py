"""Findings over all rounds of a review: each has one identity, however it is worded."""

from enum import StrEnum

from worktrain.contracts.artifact import Disposition, Finding
from worktrain.contracts.base import Value


class Standing(StrEnum):
    OPEN = "open"
    FIXED = "fixed"
    """A reviewer looked again and it is gone."""
    INVALID = "invalid"
    """A reviewer agreed that it was never true."""
    FLAPPING = "flapping"
    """It was gone and came back."""


class Entry(Value):
    id: str
    """`F1`, `F2`, ... in the order of their first appearance."""
    finding: Finding
    """As it was said last."""
    standing: Standing
    first_round: int
    """Round of review, from 1."""
    last_round: int
    """The newest round in which it was said."""
    reopened: int = 0
    disposition: Disposition | None = None
    """What the newest fixer says of it. A claim: it closes nothing."""


class Round(Value):
    """One verdict, and what it made of the ledger."""

    number: int
    session: str
    tree: str
    opened: tuple[str, ...] = ()
    """Ids of findings that are new in it."""
    closed: tuple[str, ...] = ()
    still: tuple[str, ...] = ()
    reopened: tuple[str, ...] = ()
    weight: int = 0
    """Of all open findings: critical 1000, major 100, minor 10, nit 1."""


class Ledger(Value):
    entries: tuple[Entry, ...] = ()
    rounds: tuple[Round, ...] = ()
