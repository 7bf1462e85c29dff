from datetime import date

from reminders import months_later


def test_the_day_stays_the_same_where_the_month_has_it() -> None:
    assert months_later(date(2023, 11, 15), 3) == date(2024, 2, 15)


def test_the_last_day_of_a_shorter_month_is_taken() -> None:
    assert months_later(date(2023, 1, 31), 3) == date(2023, 4, 30)


def test_a_leap_day_is_reached_from_a_common_year() -> None:
    assert months_later(date(2023, 1, 31), 13) == date(2024, 2, 29)


def test_a_leap_day_comes_back_in_a_common_year() -> None:
    assert months_later(date(2024, 2, 29), 12) == date(2025, 2, 28)
