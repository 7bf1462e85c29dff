"""Artifacts as values: any of them is read back as what it was, and the reference names them."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from worktrain.contracts.artifact import (
    Artifact,
    CodingHandoff,
    Confidence,
    DiscoveryHandoff,
    Finding,
    Handoff,
    ProjectArtifact,
    ReviewVerdict,
    Severity,
    ShapingHandoff,
)
from worktrain.contracts.base import JsonObject
from worktrain.engine.contracts_check import ARTIFACTS, kind_of
from worktrain.engine.contracts_check.artifact_examples import EXAMPLES

ANY: TypeAdapter[Artifact] = TypeAdapter(Artifact)
REFERENCE = (Path(__file__).parents[2] / "docs/reference/artifacts.md").read_text()


def read_back(value: Any) -> Any:
    return ANY.validate_json(ANY.dump_json(value))


@pytest.mark.parametrize("kind", ARTIFACTS)
def test_an_artifact_is_read_back_as_what_it_was(kind: str) -> None:
    value = ANY.validate_python(EXAMPLES[kind])
    assert type(value) is ARTIFACTS[kind]
    assert read_back(value) == value
    assert ANY.validate_python(value) is value


def test_an_artifact_of_a_projects_kind_keeps_its_fields_whatever_their_names() -> None:
    fields: JsonObject = {
        "kind": "acme.notes",
        "copy": 1,
        "model_dump": [None, {"a": 0.5}],
        "schema": {},
        "ünïcode": "\u2028",
    }
    value = ANY.validate_python(fields)
    assert isinstance(value, ProjectArtifact)
    assert read_back(value) == value
    assert ProjectArtifact.model_validate(fields).model_dump() == fields


@pytest.mark.parametrize("raw", [{}, {"kind": 1}, {"kind": "wr.nothing"}, [], "x", None])
def test_what_has_no_kind_or_one_of_ours_that_there_is_not_is_no_artifact(raw: Any) -> None:
    with pytest.raises(ValidationError):
        ANY.validate_python(raw)


def test_a_handoff_is_one_of_the_four_that_phases_hand_over() -> None:
    assert get_args(get_args(Handoff)[0]) == (
        DiscoveryHandoff,
        ShapingHandoff,
        CodingHandoff,
        ReviewVerdict,
    )


def test_what_says_nothing_is_not_written_where_histories_did_not_have_it() -> None:
    review = ReviewVerdict(verdict="clean", confidence=Confidence.HIGH, summary="As asked.")
    later = {"reviewer", "tree", "criteria", "acceptedFiles"}
    assert later.isdisjoint(review.model_dump())
    assert "known" not in Finding(severity=Severity.NIT, summary="A word is wrong.").model_dump()
    assert "dispositions" not in CodingHandoff(commitSubject="Do it").model_dump()
    bound = review.model_copy(update={"tree": "a" * 40, "reviewer": "task/shop/17/review-1"})
    assert read_back(bound) == bound
    assert bound.model_dump()["tree"] == "a" * 40


@pytest.mark.parametrize(("tree", "right"), [("a" * 40, True), ("0" * 64, True), ("a" * 41, False)])
def test_a_tree_is_named_by_a_git_hash(tree: str, right: bool) -> None:
    raw = {**EXAMPLES["wr.review_verdict"], "tree": tree}
    if right:
        assert ReviewVerdict.model_validate(raw).tree == tree
    else:
        with pytest.raises(ValidationError):
            ReviewVerdict.model_validate(raw)


def test_every_kind_is_in_the_union_and_named_as_its_model_says() -> None:
    ours = get_args(get_args(get_args(get_args(Artifact)[0])[0])[0])
    assert set(ours) == set(ARTIFACTS.values())
    for kind, model in ARTIFACTS.items():
        assert model.model_fields["kind"].default == kind
    assert list(EXAMPLES) == list(ARTIFACTS)


def models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in models_in(inner)]


def fields_of(model: type[BaseModel], before: str = "") -> dict[str, str]:
    """Each field of a model and of those inside it, by path, and whether it is required."""
    found: dict[str, str] = {}
    for name, field in model.model_fields.items():
        if name == "kind" and not before:
            continue
        found[f"{before}{name}"] = "required" if field.is_required() else "—"
        many = "[]" if "tuple" in str(field.annotation) else ""
        # Findings have a table of their own, a level is told in one line.
        if name not in ("findings", "dimensions"):
            for inner in models_in(field.annotation):
                found |= fields_of(inner, f"{before}{name}{many}.")
    return found


def told_of(heading: str) -> dict[str, str]:
    section = re.search(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", REFERENCE, re.DOTALL | re.MULTILINE
    )
    assert section, heading
    return dict(re.findall(r"^\| `([^`]+)` \| (required|—) \|", section[1], re.MULTILINE))


@pytest.mark.parametrize("kind", ARTIFACTS)
def test_every_field_of_an_artifact_is_in_the_reference(kind: str) -> None:
    assert list(told_of(kind).items()) == list(fields_of(ARTIFACTS[kind]).items())


def test_the_fields_of_a_finding_are_in_the_reference() -> None:
    (finding,) = models_in(ReviewVerdict.model_fields["findings"].annotation)
    assert told_of("Findings") == fields_of(finding)


def test_the_reference_says_which_contract_asks_for_a_kind() -> None:
    told = dict(re.findall(r"^\| \[`(wr[^`]+)`\]\(#\w+\) \| (?:`([^`]+)`|—) \|", REFERENCE, re.M))
    assert list(told) == list(ARTIFACTS)
    assert {kind: kind_of(ref) for kind, ref in told.items() if ref} == {
        kind: kind for kind, ref in told.items() if ref
    }
    assert [kind for kind, ref in told.items() if not ref] == ["wr.coordinator_result"]
