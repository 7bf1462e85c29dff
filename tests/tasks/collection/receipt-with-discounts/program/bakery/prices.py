"""What things cost, in cents."""

from collections.abc import Mapping

PRICES: Mapping[str, int] = {"roll": 45, "bread": 390, "cake": 1250}


def price(thing: str, count: int) -> int:
    """The price of so many of a thing."""
    return PRICES[thing] * count
