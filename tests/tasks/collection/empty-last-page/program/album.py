"""Pictures on pages."""

from collections.abc import Sequence


def page_count(pictures: int, per_page: int) -> int:
    """How many pages so many pictures fill; none for no picture."""
    return pictures // per_page + 1


def page(pictures: Sequence[str], number: int, per_page: int) -> Sequence[str]:
    """What stands on a page, counted from 1. Raises ValueError for a page that there is not."""
    if not 1 <= number <= page_count(len(pictures), per_page):
        raise ValueError(f"there is no page {number}")
    return pictures[(number - 1) * per_page : number * per_page]
