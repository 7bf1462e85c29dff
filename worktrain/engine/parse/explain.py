"""What a schema has against a document, in the words of the person who wrote it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from worktrain.engine.fault import Path, shown
from worktrain.engine.parse.document import Document
from worktrain.engine.parse.problem import PROBLEMS_MAX, Problem, quoted, shortened

_WANTED: Mapping[str, str] = {
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "model_type": "a set of keys",
    "dict_type": "a set of keys",
}
_COUNTED = frozenset({"too_short", "too_long"})
PLACE_MAX = 100


def problems(error: ValidationError, model: type[BaseModel], document: Document) -> list[Problem]:
    """One for each thing that has to change; of a flood only the first are worded."""
    found = [_Error(details, *_way(details["loc"], model)) for details in error.errors()]
    kept = sorted(_telling(found), key=lambda one: _mark(one, document))
    return [_explained(one, document) for one in kept[:PROBLEMS_MAX]] + [
        document.problem(one.path, "", "") for one in kept[PROBLEMS_MAX:]
    ]


def unknown_keys(error: ValidationError, model: type[BaseModel]) -> list[Path]:
    """Where each key stands that the schema does not have."""
    return [
        _way(details["loc"], model)[0]
        for details in error.errors()
        if details["type"] == "extra_forbidden"
    ]


@dataclass(frozen=True)
class _Error:
    details: ErrorDetails
    path: Path
    """In the document; the key that is missing or unknown included."""
    owners: tuple[type[BaseModel], ...]
    """The models that its last key belongs to."""
    tags: tuple[str, ...]
    """The forms that what the key stands in could have had."""
    wanted: tuple[str, ...] = ()
    """Where a value is of a wrong type: those that it may be of."""

    @property
    def kind(self) -> str:
        return self.details["type"]


# --- from the schema's place to the document's ----------------------------------------------


def _way(
    location: Sequence[str | int], model: type[BaseModel]
) -> tuple[Path, tuple[type[BaseModel], ...], tuple[str, ...]]:
    """A location also names the members of unions, which no document has: they are left out."""
    shape = tuple(0 if isinstance(part, int) else part for part in location)
    kept, owners, tags = _shape(shape, model)
    return tuple(location[at] for at in kept), owners, tags


@lru_cache(maxsize=1_000)
def _shape(
    location: tuple[str | int, ...], model: type[BaseModel]
) -> tuple[tuple[int, ...], tuple[type[BaseModel], ...], tuple[str, ...]]:
    """Which parts of a location the document has too. The same for all members of a list, of
    which a flood of errors may be about every one."""
    kept: tuple[int, ...] = ()
    here: list[Any] = [model]
    owners: tuple[type[BaseModel], ...] = ()
    tags: tuple[str, ...] = ()
    form: tuple[str, ...] = ()
    for at, part in enumerate(location):
        choices = [one for kind in here if len(_members(kind)) > 1 for one in _members(kind)]
        if choices:
            here = [one for one in choices if part in _tags(one)] or choices
            form = tuple(tag for one in choices for tag in _tags(one))
        elif part != "[key]":
            plain = [_members(kind)[0] for kind in here]
            owners = tuple(
                one for one in plain if isinstance(one, type) and issubclass(one, BaseModel)
            )
            kept, tags, form = (*kept, at), form, ()
            here = [below for one in plain for below in _below(one, part)]
    return kept, owners, tags


def _members(kind: Any) -> list[Any]:
    """What a type may be, without None; one that is no union is its own member."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) not in (Union, type(int | str)):
        return [kind]
    members = [one for one in get_args(kind) if one is not type(None)]
    return _members(members[0]) if len(members) == 1 else members


def _tags(member: Any) -> tuple[str, ...]:
    """How a location names a member of a union."""
    if get_origin(member) is Annotated:
        kind, *notes = get_args(member)
        return tuple(note.tag for note in notes if isinstance(note, Tag)) or _tags(kind)
    if isinstance(member, type) and issubclass(member, BaseModel):
        literals = [field.annotation for field in member.model_fields.values()]
        return tuple(
            value for one in literals if get_origin(one) is Literal for value in get_args(one)
        )
    return ()


def _below(kind: Any, part: str | int) -> list[Any]:
    origin = get_origin(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = kind.model_fields.items()
        named = [name for name, field in fields if part == (field.alias or name)]
        return [_types_of(kind)[name] for name in named]
    if origin in (tuple, list):
        return [get_args(kind)[0]]
    return [get_args(kind)[1]] if origin is dict else []


@cache
def _types_of(kind: type[BaseModel]) -> dict[str, Any]:
    """The types of a model's fields, where pydantic keeps some only by name."""
    return get_type_hints(kind, include_extras=True)


# --- which of the errors tell something ------------------------------------------------------


def _telling(found: Sequence[_Error]) -> list[_Error]:
    """Without those that only follow from another one.

    A value that fits no member of a union is told once for each member; a list is called too
    short when what is inside was wrong; and where `type` is wrong, so is everything beside it.
    """
    misnamed = {one.path[:-1] for one in found if _misnames_its_form(one)}
    above = {one.path[:depth] for one in found for depth in range(len(one.path))}
    valued = {one.path for one in found if one.kind not in _WANTED}
    kept: dict[tuple[Path, str], _Error] = {}
    wanted: dict[Path, dict[str, None]] = {}
    for one in found:
        beside = any(one.path[:depth] in misnamed for depth in range(len(one.path)))
        if beside and not _misnames_its_form(one):
            continue
        if one.path in above and (one.kind in _WANTED or one.kind in _COUNTED):
            continue
        if one.kind in _WANTED and one.path in valued:
            continue
        if one.kind in _WANTED:
            wanted.setdefault(one.path, {})[_WANTED[one.kind]] = None
        kept.setdefault((one.path, "type" if one.kind in _WANTED else one.kind), one)
    return [replace(one, wanted=tuple(wanted.get(one.path, ()))) for one in kept.values()]


def _misnames_its_form(one: _Error) -> bool:
    """Its `type` is none of those that there are, so it was read as the usual one."""
    return one.kind == "literal_error" and set(_choices(one)) <= set(one.tags)


def _choices(one: _Error) -> list[str]:
    context = one.details.get("ctx", {})
    named = context.get("expected_tags", context.get("expected", ""))
    return re.findall(r"'([^']*)'", str(named))


# --- words -----------------------------------------------------------------------------------


def _explained(one: _Error, document: Document) -> Problem:
    rule, say = _SAID.get(one.kind, ("wrong-value", _other))
    path, key = one.path, one.kind in ("extra_forbidden",) or one.details["loc"][-1:] == ("[key]",)
    if one.kind == "union_tag_invalid":
        path = _tag_path(one, document)
    message = say(one, document)
    where = path[:-1] if one.kind in ("missing", "extra_forbidden") else path
    place = f"{shortened(shown(where), PLACE_MAX)}: " if where and rule != "unknown-key" else ""
    return document.problem(path, f"{place}{message}", rule, at_key=key)


def _tag_path(one: _Error, document: Document) -> Path:
    """Where the name of the form was written that there is not."""
    value = one.details["input"]
    tag = one.details.get("ctx", {}).get("tag")
    keys = [key for key, said in value.items() if said == tag] if isinstance(value, dict) else []
    return (*one.path, *keys[:1])


def _unknown(one: _Error, document: Document) -> str:
    key = str(one.path[-1])
    known = sorted(
        {field.alias or name for owner in one.owners for name, field in owner.model_fields.items()}
    )
    near = get_close_matches(key[:100], known, n=1, cutoff=0.5)
    if near:
        return f"unknown key {quoted(key)}; did you mean {quoted(near[0])}?"
    return f"unknown key {quoted(key)}; known here: {', '.join(known) or 'none'}"


def _missing(one: _Error, document: Document) -> str:
    return f"key {quoted(str(one.path[-1]))} is missing"


def _tag_missing(one: _Error, document: Document) -> str:
    key = str(one.details.get("ctx", {}).get("discriminator", "")).strip("'")
    return f"key {quoted(key)} is missing"


def _choice(one: _Error, document: Document) -> str:
    choices = list(one.tags) if _misnames_its_form(one) else _choices(one)
    context, value = one.details.get("ctx", {}), one.details["input"]
    wrong = context.get("tag", value)
    near = get_close_matches(wrong[:100], choices, n=1, cutoff=0.5) if _is_text(wrong) else []
    quotes = [f"'{choice}'" for choice in dict.fromkeys(choices)]
    listed = " or ".join(text for text in (", ".join(quotes[:-1]), quotes[-1]) if text)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"{listed} is wanted here{hint}"


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _type(one: _Error, document: Document) -> str:
    quotes = "a text" in one.wanted and document.plain(one.path)
    hint = "; put it in quotes" if quotes else ""
    return f"{' or '.join(one.wanted)} is wanted here{hint}"


def _count(one: _Error, document: Document) -> str:
    context = one.details.get("ctx", {})
    least, most = context.get("min_length"), context.get("max_length")
    bound = f"at least {least}" if least is not None else f"at most {most}"
    return f"{bound} {'entry is' if 1 in (least, most) else 'entries are'} wanted here"


def _other(one: _Error, document: Document) -> str:
    said = one.details["msg"].removeprefix("Value error, ")
    return said[:1].lower() + said[1:]


_SAID: Mapping[str, tuple[str, Callable[[_Error, Document], str]]] = {
    "extra_forbidden": ("unknown-key", _unknown),
    "missing": ("missing-key", _missing),
    "union_tag_not_found": ("missing-key", _tag_missing),
    "union_tag_invalid": ("wrong-choice", _choice),
    "literal_error": ("wrong-choice", _choice),
    "enum": ("wrong-choice", _choice),
    **dict.fromkeys(_WANTED, ("wrong-type", _type)),
    **dict.fromkeys(_COUNTED, ("wrong-length", _count)),
}


def _mark(one: _Error, document: Document) -> tuple[int, int]:
    problem = document.problem(one.path, "", "")
    return problem.line, problem.column
