"""Limits: which one is reached, which one is near, and how an amount is told."""

import pytest

from tests.engine.conftest import state
from worktrain.contracts.session import SessionEnding, SessionState
from worktrain.contracts.turn import Usage
from worktrain.contracts.workspace import Limits
from worktrain.engine.budget import (
    microdollars_left,
    near,
    passed,
    reached,
    tokens_left,
    told,
)

LIMITS = Limits(turns_max=100, tokens_max=1_000, cost_usd_max=2.0, minutes_max=10)


def spent(turns: int = 0, tokens: int = 0, cost: int = 0) -> SessionState:
    usage = Usage(cache_read=tokens)
    changes = {"turn": turns, "usage": usage, "cost_microdollars": cost}
    return state(limits=LIMITS).model_copy(update=changes)


@pytest.mark.parametrize(
    ("at", "worked_s", "limit", "ending"),
    [
        (spent(turns=100), 0.0, "turns", SessionEnding.TURN_LIMIT),
        (spent(tokens=1_000), 0.0, "tokens", SessionEnding.TOKEN_LIMIT),
        (spent(cost=2_000_000), 0.0, "cost", SessionEnding.COST_LIMIT),
        (spent(), 600.0, "time", SessionEnding.TIME_LIMIT),
    ],
)
def test_a_limit_is_reached_when_it_is_used_up(
    at: SessionState, worked_s: float, limit: str, ending: SessionEnding
) -> None:
    full = reached(at, worked_s)
    assert full is not None
    assert (full.limit, full.ending) == (limit, ending)


@pytest.mark.parametrize(
    ("at", "worked_s"),
    [
        (spent(turns=99), 0.0),
        (spent(tokens=999), 0.0),
        (spent(cost=1_999_999), 0.0),
        (spent(), 599.9),
    ],
)
def test_a_limit_is_near_but_not_reached_just_below_it(at: SessionState, worked_s: float) -> None:
    assert reached(at, worked_s) is None
    assert near(at, worked_s) is not None


def test_nothing_is_near_where_a_tenth_is_left() -> None:
    almost = spent(turns=89, tokens=899, cost=1_799_999)
    assert near(almost, 539.0) is None


@pytest.mark.parametrize(("turns_max", "turn", "is_near"), [(3, 1, False), (3, 2, True)])
def test_the_last_turn_is_near_however_few_there_are(
    turns_max: int, turn: int, is_near: bool
) -> None:
    few = state(limits=Limits(turns_max=turns_max)).model_copy(update={"turn": turn})
    assert (near(few, 0.0) is not None) is is_near


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        (spent(turns=79), spent(turns=80), ["turns"]),
        (spent(tokens=10), spent(tokens=800), ["tokens"]),
        (spent(cost=1_599_999), spent(cost=1_600_000), ["cost"]),
        (spent(), spent(turns=80, tokens=900, cost=2_000_000), ["turns", "tokens", "cost"]),
        (spent(turns=80), spent(turns=81), []),
        (spent(), spent(turns=79, tokens=799, cost=1_599_999), []),
    ],
)
def test_most_of_a_limit_is_used_up_once(
    before: SessionState, after: SessionState, names: list[str]
) -> None:
    assert [one.limit for one in passed(before, after, 0.0)] == names


@pytest.mark.parametrize(
    ("used", "left"),
    [(0, 16_000), (4_984_000, 16_000), (4_984_001, 15_999), (4_999_999, 1), (5_000_000, 1)],
)
def test_an_answer_is_never_longer_than_what_the_token_limit_leaves(used: int, left: int) -> None:
    state_of = state(limits=Limits(tokens_max=5_000_000, output_tokens_max=16_000))
    assert tokens_left(state_of.model_copy(update={"usage": Usage(input=used)})) == left


@pytest.mark.parametrize(
    ("cost", "left"), [(0, 2_000_000), (1_999_999, 1), (2_000_000, 0), (2_500_000, 0)]
)
def test_what_is_left_of_the_money_is_never_less_than_nothing(cost: int, left: int) -> None:
    assert microdollars_left(spent(cost=cost)) == left


@pytest.mark.parametrize(
    ("amount", "text"),
    [(5_000_000, "5,000,000"), (0.25, "0.25"), (100, "100"), (1 / 3, "0.3333"), (0, "0")],
)
def test_amounts_are_told_as_a_person_writes_them(amount: float, text: str) -> None:
    assert told(amount) == text
