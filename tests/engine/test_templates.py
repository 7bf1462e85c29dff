"""Templates: names are found and filled once, and what is put in is never read again."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worktrain.engine.templates import expanded, filled, reads, shown

NAMES = st.from_regex(r"[a-z]{1,3}(\.[a-z0-9]{1,3}){0,2}", fullmatch=True)
CONTEXT: dict[str, Any] = {
    "name": "Größe",
    "item": {"path": "a.py", "lines": [1, 2], "none": None},
    "count": 3,
    "open": False,
}


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("Look at {{item.path}} and {{ name }}, then {{item.path}}.", ("item.path", "name")),
        ("{{wr.refs.memory_usage}} {{wr.bindings.review}} {{wrong}}", ("wrong",)),
        ("{{{name}}} {{a.0.b}} {{_x-y}}", ("name", "a.0.b", "_x-y")),
        ('{"a": {"b": 1}} {{ }} {{a b}} {{a.}} {{.a}} {{1a}} {name} {{a', ()),
    ],
)
def test_paths_are_read_in_order_and_once(text: str, paths: tuple[str, ...]) -> None:
    assert reads(text) == paths


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("name", "Größe"),
        ("item.path", "a.py"),
        ("item.lines", "[1,2]"),
        ("item.lines.1", "2"),
        ("item", '{"path":"a.py","lines":[1,2],"none":null}'),
        ("count", "3"),
        ("open", "false"),
        ("none", "[unset: none]"),
        ("item.none", "[unset: item.none]"),
        ("item.none.x", "[unset: item.none.x]"),
        ("item.other.x", "[unset: item.other.x]"),
        ("name.first", "[unset: name.first (name is a string)]"),
        ("count.a.b", "[unset: count.a.b (count is a number)]"),
        ("open.a", "[unset: open.a (open is a boolean)]"),
        ("item.lines.x", "[unset: item.lines.x (item.lines is an array)]"),
    ],
)
def test_a_path_shows_its_value_or_why_there_is_none(path: str, text: str) -> None:
    assert shown(path, CONTEXT) == text


def test_a_text_is_filled_and_the_compilers_names_are_left() -> None:
    text = "{{ a.b }}-{{c}} {{wr.refs.x}} {x} {{not a path}} {{{a.b}}}"
    expected = "1-[unset: c] {{wr.refs.x}} {x} {{not a path}} {1}"
    assert filled(text, {"a.b": "1", "wr.refs.x": "no"}) == expected


@given(st.lists(st.tuples(st.text(), NAMES)), st.text(), st.text())
def test_values_are_never_read_as_templates(
    pieces: list[tuple[str, str]], end: str, value: str
) -> None:
    harmful = f"{value}{{{{a}}}}\\1\\g<0>{{{{wr.x}}}}"
    # Braces beside a name could make another name of it.
    plain = [(before.translate({123: None, 125: None}), name) for before, name in pieces]
    text = "".join(f"{before}{{{{{name}}}}}" for before, name in plain) + end.replace("}", "")
    values = dict.fromkeys([*reads(text), "a"], harmful)
    expected = "".join(
        before + (f"{{{{{name}}}}}" if name.startswith("wr.") else harmful)
        for before, name in plain
    )
    assert filled(text, values) == expected + end.replace("}", "")


@given(st.text(alphabet="{}$ab._ 1"))
def test_a_filled_text_has_the_value_of_each_path_that_it_reads(text: str) -> None:
    paths = reads(text)
    assert all(f"<{path}>" in filled(text, {p: f"<{p}>" for p in paths}) for path in paths)
    assert filled(text, {}) == text or paths


@given(st.text(alphabet="{}$ab._ 1"), st.dictionaries(st.text(), st.none() | st.integers()))
def test_any_text_is_expanded_and_without_arguments_stays(text: str, args: dict[str, Any]) -> None:
    assert expanded(text, {})[0] == text
    done, missing = expanded(text, args)
    assert all(args.get(name) is None and f"{{{name}}}" in done for name in missing)


@given(st.text())
def test_an_argument_is_never_read_as_a_template(value: str) -> None:
    assert expanded("<{a}|{b}>", {"a": "{b}" + value, "b": 1}) == (f"<{{b}}{value}|1>", ())


def test_arguments_are_put_in_and_missing_ones_named_once() -> None:
    text = "Review {target} for {focus}, {target}; {nothing} {focus-area} {nothing}"
    args = {"target": "a.py", "focus": ["x", 1], "nothing": None}
    expected = 'Review a.py for ["x",1], a.py; {nothing} {focus-area} {nothing}'
    assert expanded(text, args) == (expected, ("nothing", "focus-area"))


@pytest.mark.parametrize(
    "text", ["{{a}}", "{{ a.b }}", '{"a": 1}', "{}", "{a.b}", "{a b}", "${a}", "{{{a}}}", "{ a }"]
)
def test_other_braces_are_no_arguments(text: str) -> None:
    assert expanded(text, {"a": "wrong", "b": "wrong"}) == (text, ())
