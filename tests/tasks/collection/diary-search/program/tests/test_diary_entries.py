from datetime import date

from diary.entries import Entry, by_day


def test_the_oldest_entry_comes_first() -> None:
    old, new = Entry(date(2020, 5, 1), "a"), Entry(date(2021, 5, 1), "b")
    assert by_day([new, old]) == [old, new]
