"""The purse of a pipeline: no sequence of sessions that keep to their limits exceeds it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worktrain.contracts.pipeline import Opened, PipelineRequest, PipelineState
from worktrain.contracts.proof import PhaseRecord
from worktrain.contracts.route import Phase, PipelineKind
from worktrain.contracts.task import Task
from worktrain.contracts.turn import Usage
from worktrain.contracts.workspace import Base, Budget, CommitRef, Limits, WorkspaceConfig
from worktrain.coordinators.purse import exhausted, limits_for, warnings

BASE = Base(branch="main", at=CommitRef(commit="c" * 40, tree="t" * 40))
BUDGET = Budget(cost_usd_max=10, tokens_max=1_000, minutes_max=100, sessions_max=10)
LIMITS = Limits(cost_usd_max=4, tokens_max=400, minutes_max=40)


def record(number: int) -> PhaseRecord:
    return PhaseRecord(
        phase="coding",
        session=f"task/w/t/coding-{number}",
        spec="spec",
        script="",
        ending="completed",
        turns=1,
        usage=Usage(),
        cost_microdollars=0,
        model="m",
    )


def pipeline(
    *,
    usd: float = 0,
    tokens: int = 0,
    minutes: float = 0,
    sessions: int = 0,
    budget: Budget = BUDGET,
    limits: Limits = LIMITS,
) -> PipelineState:
    """A pipeline that has used so much."""
    config = WorkspaceConfig(budget=budget, limits=limits)
    return PipelineState(
        request=PipelineRequest(
            pipeline="task/w/t",
            workspace="w",
            repo="/repo",
            task=Task(source="typed", title="Login fails"),
            kind=PipelineKind.FEATURE,
        ),
        opened=Opened(base=BASE, config=config),
        phase=Phase.CODING,
        base=BASE,
        usage=Usage(cache_read=tokens),
        cost_microdollars=round(usd * 1e6),
        worked_s=minutes * 60,
        records=tuple(record(number) for number in range(sessions)),
    )


def test_a_full_budget_leaves_a_session_its_own_limits() -> None:
    assert limits_for(pipeline()) == LIMITS


@pytest.mark.parametrize(
    ("used", "field", "left"),
    [
        ({"usd": 9.75}, "cost_usd_max", 0.25),
        ({"tokens": 900}, "tokens_max", 100),
        ({"minutes": 88}, "minutes_max", 12),
    ],
)
def test_a_session_may_use_no_more_than_is_left(
    used: dict[str, Any], field: str, left: float
) -> None:
    narrowed = limits_for(pipeline(**used))
    assert narrowed == LIMITS.model_copy(update={field: left})


def test_sessions_side_by_side_share_what_is_left() -> None:
    state = pipeline(usd=7, tokens=700, minutes=70)
    narrowed = limits_for(state, share=3)
    assert narrowed == LIMITS.model_copy(
        update={"cost_usd_max": 1.0, "tokens_max": 100, "minutes_max": 10.0}
    )


@pytest.mark.parametrize(
    ("used", "said"),
    [
        ({"usd": 10}, "budget of 10 USD is used up (10 used); raise budget.cost_usd_max"),
        ({"usd": 10.5}, "10 USD is used up (10.5 used)"),
        ({"tokens": 1_001}, "budget of 1,000 tokens is used up (1,001 used)"),
        ({"minutes": 100}, "budget of 100 minutes is used up (100 used)"),
        ({"sessions": 10}, "budget of 10 sessions is used up (10 used)"),
    ],
)
def test_what_is_used_up_is_named_and_leaves_nothing(used: dict[str, Any], said: str) -> None:
    state = pipeline(**used)
    assert said in (exhausted(state) or "")
    assert limits_for(state) is None


def test_just_below_its_limits_a_pipeline_has_something_left() -> None:
    state = pipeline(usd=9.999999, tokens=999, minutes=99.9, sessions=9)
    assert exhausted(state) is None
    left = limits_for(state)
    assert left is not None
    assert (left.cost_usd_max, left.tokens_max) == (0.000001, 1)


@pytest.mark.parametrize("used", [{"sessions": 8}, {"tokens": 998}, {"usd": 9.999998}])
def test_what_is_too_little_for_all_of_them_is_given_to_none(used: dict[str, Any]) -> None:
    state = pipeline(**used)
    assert limits_for(state, share=3) is None
    assert limits_for(state, share=2) is not None
    assert exhausted(state) is None


@pytest.mark.parametrize(
    ("used", "field"),
    [
        ({"usd": 8}, "budget.cost_usd_max"),
        ({"tokens": 800}, "budget.tokens_max"),
        ({"minutes": 80}, "budget.minutes_max"),
        ({"sessions": 8}, "budget.sessions_max"),
    ],
)
def test_the_operator_is_told_from_80_percent_on_in_words_that_stay(
    used: dict[str, Any], field: str
) -> None:
    (said,) = warnings(pipeline(**used))
    assert field in said
    assert "80%" in said
    ((name, amount),) = used.items()
    assert warnings(pipeline(**{name: amount - 1})) == ()
    assert warnings(pipeline(**{name: amount * 9 // 8})) == (said,)


def test_each_limit_is_told_by_itself() -> None:
    assert len(warnings(pipeline(usd=9, tokens=900, minutes=90, sessions=9))) == 4


SHARES = st.floats(0, 1)
WAVES = st.lists(
    st.lists(st.tuples(SHARES, SHARES, SHARES), min_size=1, max_size=4), min_size=1, max_size=15
)
"""Sessions side by side, one wave after the other: what share of its limits each one uses."""


@settings(max_examples=200)
@given(
    WAVES,
    st.builds(
        Budget,
        cost_usd_max=st.floats(0.01, 60),
        tokens_max=st.integers(1, 10_000),
        minutes_max=st.floats(1, 900),
        sessions_max=st.integers(1, 30),
    ),
)
def test_sessions_that_keep_to_their_limits_never_exceed_the_budget(
    waves: list[list[tuple[float, float, float]]], budget: Budget
) -> None:
    state = pipeline(budget=budget, limits=Limits(tokens_max=5_000))
    begun = 0
    for wave in waves:
        limits = limits_for(state, len(wave))
        if limits is None:
            continue
        assert exhausted(state) is None
        for cost, tokens, minutes in wave:
            begun += 1
            spent = round(limits.cost_usd_max * 1e6)
            state = state.model_copy(
                update={
                    "records": (*state.records, record(begun)),
                    "usage": state.usage + Usage(output=int(limits.tokens_max * tokens)),
                    "cost_microdollars": state.cost_microdollars + int(spent * cost),
                    "worked_s": state.worked_s + limits.minutes_max * minutes * 60,
                }
            )
    assert state.cost_microdollars <= round(budget.cost_usd_max * 1e6)
    assert state.usage.total <= budget.tokens_max
    assert state.worked_s <= budget.minutes_max * 60 * (1 + 1e-9)
    assert len(state.records) <= budget.sessions_max
