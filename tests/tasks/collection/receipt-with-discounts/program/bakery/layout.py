"""How the lines of a receipt look."""


def line(text: str, cents: int) -> str:
    """A text and an amount in euros."""
    return f"{text} {cents / 100:.2f}"
