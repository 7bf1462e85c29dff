"""Addresses of pages, made of their titles."""

import re

_BETWEEN_WORDS = re.compile(r"[^a-z0-9]+")


def slug_of(title: str, length_max: int = 34) -> str:
    """Lower case, words joined by single dashes, never a dash at either end."""
    joined = _BETWEEN_WORDS.sub("-", title.lower()).strip("-")
    return joined[:length_max]
