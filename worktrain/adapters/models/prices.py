"""What a model call costs, by the offline price table of genai-prices."""

import logging
from decimal import ROUND_CEILING
from functools import lru_cache

from worktrain.contracts.turn import Usage

logger = logging.getLogger(__name__)


def cost_microdollars(model: str, usage: Usage) -> int:
    """Millionths of a US dollar, rounded up; 0 for a model that Anthropic does not sell.

    Only Anthropic's prices are looked at: a model of the same name on a server of one's own is
    not paid by the token.
    """
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
        return 0
    return int((price.total_price * 1_000_000).to_integral_value(ROUND_CEILING))


@lru_cache(maxsize=100)
def _say_unpriced(model: str) -> None:
    """Once per model and process."""
    logger.warning("model has no known price, its calls count as free", extra={"model": model})
