import pytest
from album import page, page_count


def test_a_page_that_is_not_full_counts() -> None:
    assert page_count(21, per_page=10) == 3


def test_a_page_has_its_pictures() -> None:
    assert page("abcde", 2, per_page=2) == "cd"


def test_there_is_no_page_0() -> None:
    with pytest.raises(ValueError, match="no page 0"):
        page("abc", 0, per_page=2)
