import pytest
from till import parse_price, total


def test_plain_prices() -> None:
    assert parse_price("12.50") == 1250
    assert parse_price("7") == 700


def test_words_are_refused() -> None:
    with pytest.raises(ValueError):
        parse_price("free")


def test_a_thousands_separator_is_read() -> None:
    assert parse_price("1,299.50") == 129950


def test_the_total_of_a_receipt() -> None:
    assert total(["12.50", "7"]) == 1950
