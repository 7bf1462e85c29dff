"""The budget of a pipeline: what its next sessions may use, what is near, what is used up."""

from collections.abc import Iterator
from dataclasses import dataclass

from worktrain.contracts.pipeline import PipelineState
from worktrain.contracts.workspace import Limits

MOST = 0.8
"""From this share of a limit on the operator is told."""


@dataclass(frozen=True)
class Account:
    """One limit of a pipeline, and how much of it is used, both in `unit`s."""

    field: str
    """Its name in the configuration."""
    used: float
    most: float
    unit: str


def limits_for(state: PipelineState, share: int = 1) -> Limits | None:
    """A session's limits, narrowed to what is left of the budget, for `share` of them in equal
    parts; None when there is nothing left for so many."""
    config, budget = state.opened.config, state.opened.config.budget
    microdollars = (_microdollars_max(state) - state.cost_microdollars) // share
    tokens = (budget.tokens_max - state.usage.total) // share
    minutes = (budget.minutes_max - state.worked_s / 60) / share
    sessions = budget.sessions_max - len(state.records)
    if microdollars < 1 or tokens < 1 or minutes <= 0 or sessions < share:
        return None
    limits = config.limits
    return limits.model_copy(
        update={
            "cost_usd_max": min(limits.cost_usd_max, microdollars / 1e6),
            "tokens_max": min(limits.tokens_max, tokens),
            "minutes_max": min(limits.minutes_max, minutes),
        }
    )


def exhausted(state: PipelineState) -> str | None:
    """Which limit of the budget is used up, and what can be done; None while none is."""
    for one in _accounts(state):
        if one.used >= one.most:
            return (
                f"the pipeline's budget of {_told(one.most)} {one.unit} is used up "
                f"({_told(one.used)} used); raise {one.field} in .worktrain/config.yml on the base "
                "branch and run the task again"
            )
    return None


def warnings(state: PipelineState) -> tuple[str, ...]:
    """A sentence for each limit of which most is used. It stays the same while more is used, so
    that it can be told once."""
    return tuple(
        f"{MOST:.0%} of the pipeline's budget of {_told(one.most)} {one.unit} ({one.field}) is "
        f"used: at {_told(one.most)} it ends"
        for one in _accounts(state)
        if one.used >= MOST * one.most
    )


def _accounts(state: PipelineState) -> Iterator[Account]:
    budget = state.opened.config.budget
    most = _microdollars_max(state) / 1e6
    yield Account("budget.cost_usd_max", state.cost_microdollars / 1e6, most, "USD")
    yield Account("budget.tokens_max", state.usage.total, budget.tokens_max, "tokens")
    yield Account("budget.minutes_max", state.worked_s / 60, budget.minutes_max, "minutes")
    yield Account("budget.sessions_max", len(state.records), budget.sessions_max, "sessions")


def _told(amount: float) -> str:
    """An amount as a person writes it: 5,000,000 or 0.25."""
    return f"{amount:,.2f}".rstrip("0").rstrip(".")


def _microdollars_max(state: PipelineState) -> int:
    return max(1, int(state.opened.config.budget.cost_usd_max * 1_000_000 + 0.5))
