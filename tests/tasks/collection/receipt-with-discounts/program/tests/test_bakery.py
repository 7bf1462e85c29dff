from bakery.layout import line
from bakery.prices import price
from bakery.receipt import receipt


def test_a_price_goes_by_the_number() -> None:
    assert price("roll", 2) == 90


def test_a_line_ends_in_its_amount() -> None:
    assert line("cake", 1250).endswith("12.50")


def test_a_receipt_ends_in_the_sum() -> None:
    last = receipt({"roll": 2, "bread": 1}).splitlines()[-1]
    assert last.split() == ["total", "4.80"]
