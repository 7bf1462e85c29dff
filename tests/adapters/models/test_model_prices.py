"""Costs, against the prices that Anthropic publishes per million tokens."""

import logging
from typing import get_args

import pytest
from anthropic.types import ModelParam

from worktrain.adapters.models.prices import cost_microdollars
from worktrain.contracts.turn import Usage
from worktrain.contracts.workspace import ModelNames

MILLION = 1_000_000


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        (Usage(input=MILLION), 1.00),
        (Usage(output=MILLION), 5.00),
        (Usage(cache_read=MILLION), 0.10),
        (Usage(cache_write=MILLION), 1.25),
        (Usage(input=MILLION, output=MILLION, cache_read=MILLION, cache_write=MILLION), 7.35),
        (Usage(), 0),
    ],
)
def test_haiku_4_5_costs_what_is_published(usage: Usage, dollars: float) -> None:
    assert cost_microdollars("claude-haiku-4-5", usage) == round(dollars * MILLION)


def test_a_part_of_a_microdollar_is_rounded_up() -> None:
    assert cost_microdollars("claude-haiku-4-5", Usage(cache_read=1)) == 1


def test_a_dated_name_costs_what_its_model_costs() -> None:
    usage = Usage(input=1000, output=10)
    dated = cost_microdollars("claude-haiku-4-5-20251001", usage)
    assert dated == cost_microdollars("claude-haiku-4-5", usage) == 1050


def test_a_model_without_a_price_is_free_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert cost_microdollars("llama-of-my-own", Usage(input=MILLION)) == 0
        assert cost_microdollars("llama-of-my-own", Usage(input=MILLION)) == 0
    assert [getattr(one, "model", None) for one in caplog.records] == ["llama-of-my-own"]


@pytest.mark.parametrize("model", ModelNames().model_dump().values())
def test_every_default_model_is_known_and_priced(model: str) -> None:
    known = {name for part in get_args(ModelParam) for name in get_args(part)}
    assert model in known
    assert cost_microdollars(model, Usage(input=MILLION)) > 0
