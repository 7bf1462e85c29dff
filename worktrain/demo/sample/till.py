"""A small till: reads prices as people write them and adds them up, in cents."""


def parse_price(text: str) -> int:
    """The price in cents. Raises ValueError for anything that is not a price."""
    whole, _, cents = text.strip().partition(".")
    return int(whole) * 100 + int((cents + "00")[:2])


def total(prices: list[str]) -> int:
    """The sum of all prices, in cents."""
    return sum(parse_price(price) for price in prices)
