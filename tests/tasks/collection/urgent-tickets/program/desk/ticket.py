"""What a ticket is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Ticket:
    number: int
    text: str


def from_row(row: dict[str, str]) -> Ticket:
    """A ticket from a row of the file."""
    return Ticket(number=int(row["number"]), text=row["text"])
