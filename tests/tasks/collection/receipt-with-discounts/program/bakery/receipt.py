"""Receipts for what was bought."""

from collections.abc import Mapping

from bakery.layout import line
from bakery.prices import price


def receipt(bought: Mapping[str, int]) -> str:
    """A line for each thing, and the sum."""
    costs = {f"{count} {thing}": price(thing, count) for thing, count in bought.items()}
    return "\n".join(line(text, cents) for text, cents in [*costs.items(), _total(costs)])


def _total(costs: Mapping[str, int]) -> tuple[str, int]:
    return "total", sum(costs.values())
