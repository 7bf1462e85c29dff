import importlib
from datetime import date

from diary.entries import Entry

SOWN = Entry(date(2024, 4, 2), "Sowed peas in the Garden. #spring #peas")
RAKED = Entry(date(2024, 10, 9), "Raked the garden #autumn")
READ = Entry(date(2024, 4, 9), "Read on the balcony, #spring at last")


def test_words_and_tags_have_to_be_there_all() -> None:
    search = importlib.import_module("diary.search")
    assert search.found([SOWN, RAKED, READ], "garden #spring") == [SOWN]


def test_a_tag_is_no_word() -> None:
    search = importlib.import_module("diary.search")
    assert search.found([SOWN, RAKED, READ], "spring") == []
