"""Our own templates, the words of `workflow_specs/prompts`, filled."""

from functools import lru_cache

from jinja2 import StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

TEMPLATES_MAX = 512
"""Kept at a time: all words of a few versions."""


def fill(template: str, **values: object) -> str:
    """Fill the double braces of one of our own templates. Raises for a name that is missing.

    Values are put in as they are and never read as templates themselves. An empty template gives
    the bare values: a session may have its words pinned from before there were any for this.
    """
    if not template:
        return "\n".join(f"{name}: {value}" for name, value in values.items())
    return _read(template).render(**values)


# Reading a template takes a hundred times as long as filling it, and gives the same for the same
# text: what is kept here is no state.
@lru_cache(maxsize=TEMPLATES_MAX)
def _read(template: str) -> Template:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    return environment.from_string(template)
