"""Which ticket comes next."""

from collections.abc import Iterable

from desk.ticket import Ticket


def in_order(tickets: Iterable[Ticket]) -> list[Ticket]:
    """As they came."""
    return sorted(tickets, key=lambda ticket: ticket.number)
