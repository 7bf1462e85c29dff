from desk.listing import listed
from desk.order import in_order
from desk.ticket import Ticket, from_row


def test_a_ticket_is_read_from_its_row() -> None:
    assert from_row({"number": "7", "text": "No light"}) == Ticket(7, "No light")


def test_the_oldest_ticket_comes_first() -> None:
    assert [one.number for one in in_order([Ticket(2, "b"), Ticket(1, "a")])] == [1, 2]


def test_a_ticket_is_one_line() -> None:
    assert listed(Ticket(7, "No light")) == "   7  No light"
