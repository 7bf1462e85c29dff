"""Words for the model: every tool has some, and every template gets exactly its names."""

import ast
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any, get_args

import pytest
from jinja2 import meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from worktrain.adapters.catalogue import Catalogue
from worktrain.contracts.plan import Words
from worktrain.contracts.spec import Feature, Spec
from worktrain.contracts.tool import ARGUMENTS, DECIDED_BY_ENGINE, READ_ONLY
from worktrain.contracts.turn import CallAnswered
from worktrain.engine import prompt
from worktrain.engine.compile import texts, virtual
from worktrain.engine.prompt import reports
from worktrain.engine.prompt.fill import fill

WORDS = Catalogue().words()
UNFILLED = ("base", "notes", "files", "no_output", "lost")
"""Said as they stand."""
ANSWERS: tuple[str, ...] = get_args(CallAnswered.model_fields["word"].annotation)
TABLES = ("tools", "metrics", "features", "refs")
"""Texts by name; said as they stand."""
TEMPLATES = tuple(name for name in Words.model_fields if name not in TABLES)
FACTS: dict[str, list[dict[str, Any]]] = {
    "references": [{"title": "t", "source": "s", "purpose": "p", "authoritative": True}],
    "assessments": [
        {"id": "a", "purpose": "p", "dimensions": [{"id": "d", "purpose": "", "levels": ["x"]}]}
    ],
    "variables": [{"name": "n", "schema": "{}"}],
    "children": [
        {
            "name": "n",
            "ending": "completed",
            "session": "s",
            **{key: ["> x"] for key in ("why", "artifacts", "given", "notes")},
            "left_out": 1,
            "empty": True,
        }
    ],
}
"""Values that are no text."""


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


GIVEN = dict(one for module in (prompt, reports, texts, virtual) for one in fillings(module))


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


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    else:
        for inner in value.values():
            yield from leaves(inner)


@pytest.mark.parametrize("table", TABLES)
def test_the_texts_of_a_table_are_no_templates(table: str) -> None:
    texts_of_it = list(leaves(getattr(WORDS, table)))
    assert texts_of_it
    for text in texts_of_it:
        assert text.strip()
        assert "{{" not in text
        assert "{%" not in text


def test_every_profile_and_feature_of_the_schema_has_words() -> None:
    profiles = set(get_args(Spec.model_fields["metricsProfile"].annotation)) - {"none"}
    assert set(WORDS.metrics) == profiles
    assert set(WORDS.features) == set(get_args(Feature))
    for blocks in WORDS.features.values():
        assert set(blocks) <= {"constraints", "procedure", "verify"}


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_renders_to_something(name: str) -> None:
    values = {one: FACTS.get(one, "value") for one in wanted(name)}
    filled = fill(getattr(WORDS, name), **values)
    assert filled.strip()
    assert "{{" not in filled


def test_every_argument_that_the_words_of_a_tool_name_is_one() -> None:
    for tool, arguments in ARGUMENTS.items():
        names = {field.alias or name for name, field in arguments.model_fields.items()}
        every = {name for other in ARGUMENTS.values() for name in other.model_fields}
        said = {word.strip(".,;:()") for word in WORDS.tools[tool].split()}
        snake = {word for word in said & every if "_" in word}
        assert snake <= names, tool
