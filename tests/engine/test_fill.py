"""Templates of our own: filled with values that are never read as templates, each read once."""

import pytest
from jinja2 import TemplateSyntaxError, UndefinedError

from worktrain.engine.prompt.fill import fill


def test_a_template_with_a_name_that_nobody_gives_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="titel"):
        fill("{{ titel }}", title="x")


def test_what_was_filled_before_leaves_nothing_behind() -> None:
    template = "{% set seen = title %}{{ seen }}"
    assert [fill(template, title=one) for one in ("a", "{{ title }}", "b")] == [
        "a",
        "{{ title }}",
        "b",
    ]
    for _ in range(2):
        with pytest.raises(UndefinedError):
            fill(template)


def test_a_template_that_cannot_be_read_is_an_error_each_time() -> None:
    for _ in range(2):
        with pytest.raises(TemplateSyntaxError):
            fill("{{ title", title="x")


def test_an_empty_template_gives_the_bare_values() -> None:
    assert fill("", title="x", size=3) == "title: x\nsize: 3"
