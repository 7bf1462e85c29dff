"""The kinds of artifact that a project defines: the files of `.worktrain/contracts`, read."""

import re
from collections.abc import Mapping

from pydantic import Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from worktrain.contracts.base import Authored, JsonObject
from worktrain.engine.contracts_check import contract
from worktrain.engine.parse import Problem, Unreadable, read
from worktrain.engine.schemas import problems, schema_fault

_KIND = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*")
_PLACE = re.compile(r"\$((?:\.\w+|\[\d+\]|\['[^']*'\])+): ", re.ASCII)


def own_contracts(texts: Mapping[str, str]) -> dict[str, JsonObject]:
    """The JSON Schema of each kind that a project defines, as it was written.

    `texts` are the files of `.worktrain/contracts`, YAML or JSON, by path; each is
    `{kind: ..., schema: ...}`. Raises `Unreadable` with everything that is wrong, and where.
    """
    schemas: dict[str, JsonObject] = {}
    found_in: dict[str, str] = {}
    wrong: list[Problem] = []
    for path in sorted(texts):
        try:
            file = read(texts[path], _ContractFile, path)
        except Unreadable as error:
            wrong += error.problems
            continue
        if file.kind in schemas:
            said = f"kind {file.kind!r} is defined in {found_in[file.kind]} too; rename one of them"
            wrong.append(Problem(file=path, line=1, column=1, message=said))
        schemas[file.kind] = file.schema_
        found_in[file.kind] = path
    if wrong:
        raise Unreadable(tuple(wrong))
    return schemas


class _ContractFile(Authored):
    """A file of `.worktrain/contracts`."""

    kind: str = Field(min_length=1, max_length=64)
    schema_: JsonObject = Field(alias="schema")

    @field_validator("kind")
    @classmethod
    def _is_the_projects_own(cls, kind: str) -> str:
        if kind.startswith("wr."):
            raise ValueError(
                "kinds that begin with `wr.` are WorkTrain's; begin with your project's name"
            )
        if not _KIND.fullmatch(kind):
            raise ValueError("a kind is made of a-z, 0-9, _, - and dots, like acme.release_notes")
        return kind

    @field_validator("schema_")
    @classmethod
    def _can_be_used(cls, schema: JsonObject) -> JsonObject:
        if fault := schema_fault(schema):
            raise _placed(fault)
        if schema.get("type", "object") != "object":
            raise _placed("$.type: an artifact is an object; write `type: object`")
        told = contract("a.kind", {"a.kind": schema})
        if wrong := problems(told.json_schema, told.example):
            if "examples" in schema:
                raise _placed(f"$.examples: the first example breaks the schema: {wrong[0]}")
            raise _placed("no example can be made of this schema; add `examples` with a valid one")
        return schema


def _placed(fault: str) -> ValidationError:
    """The fault at its place in the schema, which it may name as a JSON path at its beginning."""
    found = _PLACE.match(fault)
    parts = re.findall(r"\.(\w+)|\['([^']*)'\]|\[(\d+)\]", found[1]) if found else []
    loc = tuple(int(index) if index else name or quoted for name, quoted, index in parts)
    said = fault[found.end() :] if found else fault
    return ValidationError.from_exception_data(
        "schema",
        [
            {
                "type": PydanticCustomError("unusable_schema", "{said}", {"said": said}),
                "loc": loc,
                "input": None,
            }
        ],
    )
