"""Words for the model: every tool has some, and every template gets exactly its names."""

import ast
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import get_args

import pytest
from jinja2 import meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from worktrain.adapters.catalogue import Catalogue
from worktrain.contracts.spec import Words
from worktrain.contracts.tool import ARGUMENTS, DECIDED_BY_ENGINE, READ_ONLY
from worktrain.contracts.turn import CallAnswered
from worktrain.engine import compile as compile_module
from worktrain.engine import prompt

WORDS = Catalogue().words()
UNFILLED = ("base", "notes", "no_output", "lost")
"""Said as they stand."""
ANSWERS: tuple[str, ...] = get_args(CallAnswered.model_fields["word"].annotation)
TEMPLATES = tuple(name for name in Words.model_fields if name != "tools")


def wanted(name: str) -> set[str]:
    """The names that a template has."""
    environment = ImmutableSandboxedEnvironment()
    return meta.find_undeclared_variables(environment.parse(getattr(WORDS, name)))


def fillings(module: ModuleType) -> Iterator[tuple[str, set[str]]]:
    """Each `fill(words.NAME, ...)` of a module: the template, and the names it is given."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "fill"
        ):
            template = node.args[0]
            given = {word.arg for word in node.keywords if word.arg}
            if isinstance(template, ast.Attribute):
                yield template.attr, given
            else:
                # The one that takes its template by name is the answer to a call.
                yield from ((answer, given) for answer in ANSWERS)


GIVEN = dict([*fillings(prompt), *fillings(compile_module)])


def test_every_tool_has_words_and_nothing_else_has() -> None:
    assert set(WORDS.tools) == set(ARGUMENTS)
    assert set(ARGUMENTS) >= READ_ONLY | DECIDED_BY_ENGINE


def test_every_template_is_filled_somewhere_or_said_as_it_stands() -> None:
    assert set(GIVEN) | set(UNFILLED) == set(TEMPLATES)
    assert not set(GIVEN) & set(UNFILLED)


@pytest.mark.parametrize("name", GIVEN)
def test_a_template_is_given_exactly_the_names_that_it_has(name: str) -> None:
    if name in ANSWERS:
        assert wanted(name) <= GIVEN[name]
    else:
        assert wanted(name) == GIVEN[name]


@pytest.mark.parametrize("name", UNFILLED)
def test_what_is_said_as_it_stands_has_no_names(name: str) -> None:
    assert wanted(name) == set()


@pytest.mark.parametrize("tool", sorted(WORDS.tools))
def test_the_words_of_a_tool_are_no_template(tool: str) -> None:
    assert "{{" not in WORDS.tools[tool]
    assert "{%" not in WORDS.tools[tool]


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_renders_to_something(name: str) -> None:
    filled = prompt.fill(getattr(WORDS, name), **dict.fromkeys(wanted(name), "value"))
    assert filled.strip()
    assert "{{" not in filled


def test_every_argument_that_the_words_of_a_tool_name_is_one() -> None:
    for tool, arguments in ARGUMENTS.items():
        names = {field.alias or name for name, field in arguments.model_fields.items()}
        every = {name for other in ARGUMENTS.values() for name in other.model_fields}
        said = {word.strip(".,;:()") for word in WORDS.tools[tool].split()}
        snake = {word for word in said & every if "_" in word}
        assert snake <= names, tool
