"""Tickets for people to read."""

from desk.ticket import Ticket


def listed(ticket: Ticket) -> str:
    """One line."""
    return f"{ticket.number:>4}  {ticket.text}"
