"""Artifacts against their contracts: what is right passes, what is wrong is named by its path."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from worktrain.contracts.artifact import Handoff
from worktrain.engine.contracts_check import (
    ARTIFACT_BYTES_MAX,
    ARTIFACTS,
    EXAMPLES,
    PROBLEM_CHARACTERS_MAX,
    PROBLEMS_MAX,
    check,
    contract,
    kind_of,
)

DISCOVERY, SHAPING, CODING, REVIEW = ARTIFACTS
FINDING = {"severity": "minor", "summary": "It is wrong."}


def problems(kind: str, changes: Mapping[str, Any]) -> tuple[str, ...]:
    """What is said of the example of a kind with these changes; `...` takes a field away."""
    raw = {k: v for k, v in {**EXAMPLES[kind], **changes}.items() if v is not ...}
    accepted, found = check(kind, [raw])
    assert bool(accepted) is not bool(found)
    return found


@pytest.mark.parametrize("kind", ARTIFACTS)
def test_the_example_that_a_model_is_shown_is_valid(kind: str) -> None:
    told = contract(kind)
    accepted, found = check(kind, [told.example])
    assert found == ()
    assert [artifact.kind for artifact in accepted] == [kind]
    assert set(told.example) <= set(told.json_schema["properties"])


@pytest.mark.parametrize("kind", ARTIFACTS)
def test_a_contract_names_its_kind(kind: str) -> None:
    assert kind_of(kind.replace("wr.", "wr.contracts.")) == kind


@pytest.mark.parametrize("ref", ["", "wr.review_verdict", "wr.contracts.nothing", "review_verdict"])
def test_what_is_no_contract_names_no_kind(ref: str) -> None:
    assert kind_of(ref) is None


def test_every_kind_of_handoff_has_a_contract() -> None:
    members = TypeAdapter(Handoff).json_schema()["discriminator"]["mapping"]
    assert set(members) == set(ARTIFACTS) == set(EXAMPLES)


def test_an_artifact_without_kind_is_taken_for_the_one_that_is_wanted() -> None:
    raw = {k: v for k, v in EXAMPLES[CODING].items() if k != "kind"}
    accepted, found = check(CODING, [raw])
    assert (accepted[0].kind, found) == (CODING, ())


@pytest.mark.parametrize(
    ("kind", "changes", "start"),
    [
        (DISCOVERY, {"selectedDirection": ...}, "artifacts[0].selectedDirection: "),
        (DISCOVERY, {"selectedDirection": " \n "}, "artifacts[0].selectedDirection: "),
        (DISCOVERY, {"confidenceBand": "sure"}, "artifacts[0].confidenceBand: "),
        (DISCOVERY, {"version": 2}, "artifacts[0].version: "),
        (DISCOVERY, {"keyInvariants": ["ok", ""]}, "artifacts[0].keyInvariants[1]: "),
        (DISCOVERY, {"keyInvariants": ["x"] * 13}, "artifacts[0].keyInvariants: "),
        (
            DISCOVERY,
            {"keyCodebaseLocations": [{"path": "a.py"}]},
            "artifacts[0].keyCodebaseLocations[0].relevance: ",
        ),
        (SHAPING, {"acceptanceCriteria": []}, "artifacts[0].acceptanceCriteria: "),
        (
            SHAPING,
            {"acceptanceCriteria": [{"id": "1", "statement": "It works."}]},
            "artifacts[0].acceptanceCriteria[0].id: ",
        ),
        (SHAPING, {"selectedShape": "x" * 301}, "artifacts[0].selectedShape: "),
        (CODING, {"commitSubject": "x" * 73}, "artifacts[0].commitSubject: "),
        (CODING, {"criteria": [{"criterion": "AC1"}]}, "artifacts[0].criteria[0].evidence: "),
        (REVIEW, {"findings": [{**FINDING, "startLine": 0}]}, "artifacts[0].findings[0].startLine"),
        (REVIEW, {"findings": [{**FINDING, "severity": "big"}]}, "artifacts[0].findings[0].sever"),
        (REVIEW, {"summary": None}, "artifacts[0].summary: "),
    ],
)
def test_what_breaks_a_rule_is_named_by_its_path(
    kind: str, changes: Mapping[str, Any], start: str
) -> None:
    assert problems(kind, changes)[0].startswith(start)


@pytest.mark.parametrize(
    ("severities", "right"),
    [
        ([], "clean"),
        (["nit"], "minor"),
        (["minor", "nit"], "minor"),
        (["nit", "major"], "blocking"),
        (["critical"], "blocking"),
    ],
)
@pytest.mark.parametrize("verdict", ["clean", "minor", "blocking"])
def test_a_verdict_has_to_follow_from_its_findings(
    severities: list[str], right: str, verdict: str
) -> None:
    findings = [{**FINDING, "severity": one} for one in severities]
    found = problems(REVIEW, {"verdict": verdict, "findings": findings})
    if verdict == right:
        assert found == ()
    else:
        assert found[0].startswith(f"artifacts[0]: the verdict must be '{right}'")


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        (
            CODING,
            {"comitSubject": "x"},
            "artifacts[0].comitSubject: no such field; did you mean 'commitSubject'?",
        ),
        (
            REVIEW,
            {"findings": [{**FINDING, "remediaton": "x"}]},
            "artifacts[0].findings[0].remediaton: no such field; did you mean 'remediation'?",
        ),
        (
            SHAPING,
            {"acceptanceCriteria": [{"id": "AC1", "statement": "x", "statment": "x"}]},
            "artifacts[0].acceptanceCriteria[0].statment: no such field; did you mean 'statement'?",
        ),
        (CODING, {"zzz": 1}, "artifacts[0].zzz: no such field"),
    ],
)
def test_an_unknown_field_names_the_nearest_one_at_its_place(
    kind: str, changes: Mapping[str, Any], said: str
) -> None:
    assert problems(kind, changes) == (said,)


@pytest.mark.parametrize("wrong", [None, 1, {}, ["x"], {"a": []}, "", "wr.nothing"])
def test_a_kind_of_any_type_is_refused_in_words(wrong: Any) -> None:
    accepted, (found,) = check(CODING, [{**EXAMPLES[CODING], "kind": wrong}])
    assert accepted == ()
    assert found.startswith(f"artifacts[0].kind: {wrong!r} is no artifact kind")


def test_a_kind_that_is_nearly_right_is_named() -> None:
    _, (found,) = check(CODING, [{"kind": "wr.coding_handof"}])
    assert found.endswith("did you mean 'wr.coding_handoff'?")


def test_what_is_wanted_and_not_there_is_named() -> None:
    assert check(CODING, [EXAMPLES[REVIEW]])[1] == (
        "artifacts: an artifact of kind 'wr.coding_handoff' is missing",
    )
    assert check(None, []) == ((), ())


def test_an_artifact_that_is_too_large_for_a_history_is_refused() -> None:
    finding = {**FINDING, "causalLink": "x" * 1000, "remediation": "y" * 1000}
    (found,) = problems(REVIEW, {"findings": [finding] * 20})
    assert f"at most {ARTIFACT_BYTES_MAX}" in found


def test_a_flood_of_mistakes_is_told_in_few_words() -> None:
    flood = {f"{'key' * 300}{number}": 1 for number in range(500)}
    found = problems(CODING, flood)
    assert len(found) == PROBLEMS_MAX + 1
    assert found[-1] == f"and {500 - PROBLEMS_MAX} more problems"
    assert all(len(one) <= PROBLEM_CHARACTERS_MAX for one in found)


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(
    st.sampled_from([None, *ARTIFACTS]),
    st.lists(
        st.tuples(
            st.sampled_from([*ARTIFACTS]),
            st.dictionaries(
                st.sampled_from(
                    sorted({name for kind in ARTIFACTS.values() for name in kind.model_fields})
                ),
                ANYTHING,
                max_size=3,
            ),
        ),
        max_size=3,
    ),
)
def test_whatever_is_delivered_is_accepted_as_it_will_be_read_back_or_refused_in_words(
    wanted: str | None, delivered: list[tuple[str, dict[str, Any]]]
) -> None:
    raw = [{**EXAMPLES[kind], **changes} for kind, changes in delivered]
    accepted, found = check(wanted, raw)
    if not found:
        assert len(accepted) == len(raw)
        assert wanted is None or wanted in [artifact.kind for artifact in accepted]
    assert all(one.startswith("artifacts") for one in found)
    for artifact in accepted:
        again, none = check(artifact.kind, [json.loads(artifact.model_dump_json())])
        assert (again, none) == ((artifact,), ())
