"""What a model call costs, by the offline price table of genai-prices."""

import logging
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

from worktrain.contracts.turn import Usage

logger = logging.getLogger(__name__)

_MANY = 1_000_000
"""Tokens that a price is measured with, so that no fraction of it is lost."""


def cost_microdollars(model: str, usage: Usage) -> int:
    """Millionths of a US dollar, rounded up; 0 for a model that Anthropic does not sell.

    Only Anthropic's prices are looked at: a model of the same name on a server of one's own is
    not paid by the token.
    """
    price = _price(model, usage)
    return 0 if price is None else int(price.to_integral_value(ROUND_CEILING))


def answer_tokens_for(model: str, input_tokens: int, microdollars: int) -> int | None:
    """How many tokens of an answer this much pays for besides the input, none of it cached.

    0 when it does not even pay for the input; None when the length of an answer costs nothing.
    """
    asked = _price(model, Usage(input=input_tokens))
    answered = _price(model, Usage(input=input_tokens, output=_MANY))
    if asked is None or answered is None or answered == asked:
        return None
    left = microdollars - int(asked.to_integral_value(ROUND_CEILING))
    return max(0, int(left * _MANY / (answered - asked)))


def _price(model: str, usage: Usage) -> Decimal | None:
    """Millionths of a US dollar; None for a model that Anthropic does not sell."""
    # The import costs a third of a second, which no start-up needs.
    import genai_prices

    tokens = genai_prices.Usage(
        # The table counts what was cached as input, and then prices it apart.
        input_tokens=usage.sent,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        output_tokens=usage.output,
    )
    try:
        price = genai_prices.calc_price(tokens, model, provider_id="anthropic")
    except LookupError:
        _say_unpriced(model)
        return None
    return price.total_price * 1_000_000


@lru_cache(maxsize=100)
def _say_unpriced(model: str) -> None:
    """Once per model and process."""
    logger.warning("model has no known price, its calls count as free", extra={"model": model})
