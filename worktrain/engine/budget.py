"""Limits of a session: which one is reached, which one is near, what is left for a call."""

from collections.abc import Iterator
from dataclasses import dataclass

from worktrain.contracts.session import SessionEnding, SessionState

MOST = 0.8
"""From this share of a limit on, the trace says so, once for each limit."""
NEAR = 0.9
"""From this share of a limit on, the model is asked once to hand over what it has."""
TURNS_NEAR = 1
"""Turns left that are little even where they are a large share of a small limit."""


@dataclass(frozen=True)
class Spent:
    """How much of one limit is used, both in `unit`s."""

    limit: str
    used: float
    most: float
    unit: str
    ending: SessionEnding


def _spent(state: SessionState, worked_s: float) -> Iterator[Spent]:
    limits = state.request.limits
    yield Spent("turns", state.turn, limits.turns_max, "turns", SessionEnding.TURN_LIMIT)
    yield Spent("tokens", state.usage.total, limits.tokens_max, "tokens", SessionEnding.TOKEN_LIMIT)
    yield Spent(
        "cost",
        state.cost_microdollars / 1e6,
        limits.cost_usd_max,
        "USD",
        SessionEnding.COST_LIMIT,
    )
    yield Spent("time", worked_s / 60, limits.minutes_max, "minutes", SessionEnding.TIME_LIMIT)


def reached(state: SessionState, worked_s: float) -> Spent | None:
    """The first limit that allows no further model call."""
    return next((s for s in _spent(state, worked_s) if s.used >= s.most), None)


def near(state: SessionState, worked_s: float) -> Spent | None:
    """The first limit of which little is left."""
    return next((s for s in _spent(state, worked_s) if _is_near(s)), None)


def passed(before: SessionState, after: SessionState, worked_s: float) -> tuple[Spent, ...]:
    """The limits of which most was used up between two states.

    Not the one of time: a state does not know how long its session had worked by then.
    """
    pairs = zip(_spent(before, worked_s), _spent(after, worked_s), strict=True)
    return tuple(now for then, now in pairs if not _is_most(then) and _is_most(now))


def tokens_left(state: SessionState) -> int:
    """What the token limit leaves for the answer of one call, at most what a call may have."""
    limits = state.request.limits
    return max(1, min(limits.output_tokens_max, limits.tokens_max - state.usage.total))


def microdollars_left(state: SessionState) -> int:
    """What the cost limit leaves, never below nothing."""
    return max(0, round(state.request.limits.cost_usd_max * 1e6) - state.cost_microdollars)


def told(amount: float) -> str:
    """An amount as a person writes it: 5,000,000 or 0.25."""
    return f"{amount:,.4f}".rstrip("0").rstrip(".")


def _is_most(spent: Spent) -> bool:
    return spent.used >= MOST * spent.most


def _is_near(spent: Spent) -> bool:
    last_turns = spent.limit == "turns" and spent.most - spent.used <= TURNS_NEAR
    return last_turns or spent.used >= NEAR * spent.most
