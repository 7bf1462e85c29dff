"""Artifacts against their contracts: what is right passes, what is wrong is named by its path."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worktrain.contracts.artifact import CodingHandoff
from worktrain.contracts.base import JsonObject
from worktrain.contracts.turn import Blocker, BlockerCode
from worktrain.engine.contracts_check import (
    ARTIFACT_BYTES_MAX,
    ARTIFACT_DEPTH_MAX,
    ARTIFACTS,
    CONVENTIONS,
    PROBLEMS_MAX,
    check,
    contract,
    kind_of,
)
from worktrain.engine.contracts_check.artifact_examples import EXAMPLES
from worktrain.engine.schemas import problems

DISCOVERY, SHAPING, CODING, REVIEW, *_ = ARTIFACTS
FINDING = {"severity": "minor", "summary": "It is wrong."}
NOTES = "acme.release_notes"
OWN: Mapping[str, JsonObject] = {
    NOTES: {
        "type": "object",
        "additionalProperties": False,
        "required": ["version", "notes"],
        "properties": {
            "version": {"type": "string", "pattern": "^[0-9]+[.][0-9]+$"},
            "notes": {"type": "array", "minItems": 1, "items": {"type": "string"}},
        },
        "examples": [{"version": "2.4", "notes": ["Faster."]}],
    }
}


def blocked(kind: str, changes: Mapping[str, Any]) -> tuple[Blocker, ...]:
    """What is said of the example of a kind with these changes; `...` takes a field away."""
    raw = {k: v for k, v in {**EXAMPLES[kind], **changes}.items() if v is not ...}
    accepted, found = check(kind, None, [raw])
    assert bool(accepted) is not bool(found)
    assert all(one.code is BlockerCode.INVALID_REQUIRED_OUTPUT for one in found)
    assert all((one.pointer.kind, one.pointer.name) == ("output_contract", kind) for one in found)
    return found


# --- contracts ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ARTIFACTS)
def test_the_example_that_a_model_is_shown_is_valid(kind: str) -> None:
    told = contract(kind)
    accepted, found = check(kind, None, [told.example])
    assert found == ()
    assert [artifact.kind for artifact in accepted] == [kind]
    assert problems(told.json_schema, told.example) == ()


@pytest.mark.parametrize("kind", [kind for kind in ARTIFACTS if kind not in CONVENTIONS])
def test_a_contract_names_its_kind(kind: str) -> None:
    assert kind_of(kind.replace("wr.", "wr.contracts.", 1)) == kind


@pytest.mark.parametrize(
    "ref",
    [
        "",
        "wr.review_verdict",
        "wr.contracts.nothing",
        "review_verdict",
        NOTES,
        "wr.contracts.coordinator_result",
    ],
)
def test_what_is_no_contract_names_no_kind(ref: str) -> None:
    assert kind_of(ref) is None


def test_a_kind_of_the_project_is_asked_for_by_its_own_name() -> None:
    assert kind_of(NOTES, OWN) == NOTES
    assert kind_of(f"wr.contracts.{NOTES}", OWN) is None


def test_a_contract_that_there_is_not_cannot_be_shown() -> None:
    with pytest.raises(KeyError):
        contract(NOTES)


@pytest.mark.parametrize("kind", ARTIFACTS)
def test_a_contract_has_no_titles_but_those_of_fields(kind: str) -> None:
    schema = json.dumps(contract(kind).json_schema)
    assert '"title": "' not in schema
    assert schema.count('"title"') == 2 * (kind in (SHAPING, "wr.design", "wr.digest"))


# --- what is taken --------------------------------------------------------------------------


def test_an_artifact_without_kind_is_taken_for_the_one_that_is_asked_for() -> None:
    raw = {k: v for k, v in EXAMPLES[CODING].items() if k != "kind"}
    assert isinstance(check(CODING, REVIEW, [raw])[0][0], CodingHandoff)
    assert isinstance(check(None, CODING, [raw])[0][0], CodingHandoff)
    _, (found,) = check(None, None, [raw])
    assert found.message.startswith("artifacts[0].kind: is missing")
    assert CODING in found.fix


def test_artifacts_of_other_kinds_are_taken_too() -> None:
    accepted, found = check(CODING, None, [EXAMPLES["wr.loop_control"], EXAMPLES[CODING]])
    assert ([one.kind for one in accepted], found) == (["wr.loop_control", CODING], ())


def test_what_is_wanted_and_not_there_is_named() -> None:
    _, (found,) = check(CODING, None, [EXAMPLES[REVIEW]])
    assert found.code is BlockerCode.MISSING_REQUIRED_OUTPUT
    assert (found.pointer.kind, found.pointer.name) == ("output_contract", CODING)
    assert found.message == (
        "artifacts: an artifact of kind 'wr.coding_handoff' is missing; delivered: "
        "wr.review_verdict"
    )
    assert "it needs commitSubject" in found.fix


def test_what_is_offered_may_be_left_out() -> None:
    assert check(None, CODING, []) == ((), ())
    assert check(None, None, []) == ((), ())


def test_a_wrong_artifact_of_another_kind_does_not_hide_that_the_wanted_one_is_missing() -> None:
    _, found = check(CODING, None, [{"kind": "wr.loop_control"}])
    assert [one.pointer.name for one in found] == ["wr.loop_control", CODING]


# --- what is wrong --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "changes", "start"),
    [
        (DISCOVERY, {"selectedDirection": ...}, "artifacts[0].selectedDirection: is missing"),
        (DISCOVERY, {"selectedDirection": " \n "}, "artifacts[0].selectedDirection: is empty"),
        (DISCOVERY, {"confidenceBand": "sure"}, 'artifacts[0].confidenceBand: "sure" is not'),
        (DISCOVERY, {"version": 2}, "artifacts[0].version: 2 is not 1"),
        (DISCOVERY, {"keyInvariants": ["ok", ""]}, "artifacts[0].keyInvariants[1]: is empty"),
        (
            DISCOVERY,
            {"keyInvariants": ["x"] * 13},
            "artifacts[0].keyInvariants: has 13 entries; at most 12 are taken",
        ),
        (
            DISCOVERY,
            {"keyCodebaseLocations": [{"path": "a.py"}]},
            "artifacts[0].keyCodebaseLocations[0].relevance: is missing",
        ),
        (
            SHAPING,
            {"acceptanceCriteria": []},
            "artifacts[0].acceptanceCriteria: has 0 entries; at least 1 is needed",
        ),
        (
            SHAPING,
            {"acceptanceCriteria": [{"id": "1", "statement": "It works."}]},
            "artifacts[0].acceptanceCriteria[0].id: must match",
        ),
        (
            SHAPING,
            {"selectedShape": "x" * 301},
            "artifacts[0].selectedShape: has 301 characters; at most 300 are taken",
        ),
        (CODING, {"commitSubject": "x" * 73}, "artifacts[0].commitSubject: has 73 characters"),
        (CODING, {"criteria": [{"criterion": "AC1"}]}, "artifacts[0].criteria[0].evidence: is"),
        (REVIEW, {"findings": [{**FINDING, "startLine": 0}]}, "artifacts[0].findings[0].startLine"),
        (REVIEW, {"findings": [{**FINDING, "severity": "big"}]}, "artifacts[0].findings[0].sever"),
        (REVIEW, {"findings": ["bad"]}, 'artifacts[0].findings[0]: must be an object, not "bad"'),
        (REVIEW, {"summary": None}, "artifacts[0].summary: must be a valid string, not null"),
        (REVIEW, {"tree": "abc"}, "artifacts[0].tree: must match"),
        ("wr.gate_verdict", {"rationale": "Fine."}, "artifacts[0].rationale: has 5 characters"),
        ("wr.classification", {"hasUI": "yes"}, "artifacts[0].hasUI: must be a valid boolean"),
        ("wr.loop_control", {"metadata": {"issuesFound": "3"}}, "artifacts[0].metadata.issuesF"),
        ("wr.loop_control", {"metadata": {"confidence": 101}}, "artifacts[0].metadata.confidence"),
        ("wr.assessment", {"dimensions": {"risk": 5}}, "artifacts[0].dimensions.risk: must be"),
        (
            "wr.assessment",
            {"dimensions": {"the risk": {"rationale": "x"}}},
            'artifacts[0].dimensions["the risk"].level: is missing',
        ),
        (
            "wr.assessment",
            {"dimensions": {"risk": {"level": "Low", "rationale": "x" * 513}}},
            "artifacts[0].dimensions.risk.rationale: has 513 characters; at most 512 are taken",
        ),
        ("wr.research_report", {"sources": []}, "artifacts[0].sources: has 0 entries"),
    ],
)
def test_what_breaks_a_rule_is_named_by_its_path(
    kind: str, changes: Mapping[str, Any], start: str
) -> None:
    found = blocked(kind, changes)
    assert found[0].message.startswith(start)
    assert found[0].fix


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
    found = blocked(REVIEW, {"verdict": verdict, "findings": findings})
    if verdict == right:
        assert found == ()
    else:
        assert found[0].message.startswith(f"artifacts[0]: the verdict must be '{right}'")
        assert found[0].fix.startswith(f"Set `verdict` to '{right}'")


@pytest.mark.parametrize(
    ("changes", "said", "fix"),
    [
        ({"id": "S1"}, "two slices have the same id", "Number them S1, S2, ..."),
        (
            {"dependsOn": ["S1", "S2", "S7"]},
            "S2 depends on S2, S7, which does not come before it",
            "Put a slice behind those that it depends on.",
        ),
        (
            {"criteria": ["AC1", "AC9"]},
            "S2 names AC9, which is no acceptance criterion",
            "Name only ids that stand in acceptanceCriteria.",
        ),
    ],
)
def test_slices_are_in_an_order_in_which_they_can_be_built(
    changes: Mapping[str, Any], said: str, fix: str
) -> None:
    first, second = EXAMPLES[SHAPING]["slices"]
    assert blocked(SHAPING, {"slices": [first, {**second, "dependsOn": ["S1"]}]}) == ()
    (found,) = blocked(SHAPING, {"slices": [first, {**second, **changes}]})
    assert (found.message, found.fix) == (f"artifacts[0]: {said}", fix)


@pytest.mark.parametrize("severity", ["critical", "major", "minor", "nit"])
@pytest.mark.parametrize("verdict", ["ready", "ready_with_conditions", "not_ready"])
def test_what_has_a_grave_finding_is_not_ready(severity: str, verdict: str) -> None:
    findings = [{**FINDING, "severity": severity}]
    found = blocked("wr.audit_report", {"verdict": verdict, "findings": findings})
    assert bool(found) is (verdict == "ready" and severity in ("critical", "major"))


@pytest.mark.parametrize(
    ("status", "evidence", "right"),
    [("open", "", True), ("confirmed", "", False), ("refuted", " ", False), ("refuted", "x", True)],
)
def test_a_hypothesis_is_settled_by_evidence(status: str, evidence: str, right: bool) -> None:
    hypothesis = {"claim": "It is the cache.", "status": status, "evidence": evidence}
    found = blocked("wr.investigation", {"hypotheses": [hypothesis]})
    assert (not found) is right
    assert right or "by evidence, and none is given" in found[0].message


@pytest.mark.parametrize(
    ("kind", "changes", "path", "fix"),
    [
        (CODING, {"comitSubject": "x"}, ".comitSubject", "Did you mean 'commitSubject'?"),
        (
            REVIEW,
            {"findings": [{**FINDING, "remediaton": "x"}]},
            ".findings[0].remediaton",
            "Did you mean 'remediation'?",
        ),
        (
            SHAPING,
            {"acceptanceCriteria": [{"id": "AC1", "statement": "x", "statment": "x"}]},
            ".acceptanceCriteria[0].statment",
            "Did you mean 'statement'?",
        ),
        (
            "wr.assessment",
            {"dimensions": {"risk": {"level": "Low", "rational": "x"}}},
            ".dimensions.risk.rational",
            "Did you mean 'rationale'?",
        ),
        (
            REVIEW,
            {"findings": [{**FINDING, "zzz": 1}]},
            ".findings[0].zzz",
            "Leave it out; known here: severity, summary, findingCategory, file, startLine, "
            "endLine, causalLink, remediation, known.",
        ),
    ],
)
def test_an_unknown_field_names_the_nearest_one_at_its_place(
    kind: str, changes: Mapping[str, Any], path: str, fix: str
) -> None:
    (found,) = blocked(kind, changes)
    assert (found.message, found.fix) == (f"artifacts[0]{path}: no such field", fix)


@pytest.mark.parametrize(
    ("kind", "changes", "fix"),
    [
        (DISCOVERY, {"confidenceBand": "HIGH"}, "Did you mean 'high'?"),
        (DISCOVERY, {"confidenceBand": "sure"}, "Write 'high', 'medium' or 'low'."),
        (DISCOVERY, {"version": 2}, "Write 1."),
        ("wr.classification", {"taskType": "bugfix"}, "Did you mean 'bug-fix'?"),
        (
            CODING,
            {"criteria": [*EXAMPLES[CODING]["criteria"], {"criterion": "AC3"}]},
            'For example "The account is found by the normalised address; seen failing before.".',
        ),
    ],
)
def test_what_to_do_names_the_nearest_valid_thing(
    kind: str, changes: Mapping[str, Any], fix: str
) -> None:
    assert blocked(kind, changes)[0].fix == fix


@pytest.mark.parametrize("wrong", [None, 1, {}, ["x"], {"a": []}, "", "wr.nothing_at_all"])
def test_a_kind_of_any_type_is_refused_in_words(wrong: Any) -> None:
    accepted, (found,) = check(CODING, None, [{**EXAMPLES[CODING], "kind": wrong}])
    assert accepted == ()
    assert found.message.startswith(f"artifacts[0].kind: {wrong!r} is no artifact kind")
    assert found.fix.startswith(f"Write {CODING!r}.")


def test_a_kind_that_is_nearly_right_is_named() -> None:
    _, (found,) = check(CODING, None, [{"kind": "wr.coding_handof"}])
    assert found.fix == "Did you mean 'wr.coding_handoff'?"
    _, (found,) = check(NOTES, None, [{"kind": "acme.relase_notes"}], OWN)
    assert found.fix == f"Did you mean {NOTES!r}?"


def test_an_artifact_that_is_too_large_for_a_history_is_refused() -> None:
    finding = {**FINDING, "causalLink": "x" * 1000, "remediation": "y" * 1000}
    (found,) = blocked(REVIEW, {"findings": [finding] * 20})
    assert f"at most {ARTIFACT_BYTES_MAX:,} are taken" in found.message


def test_what_is_nested_too_deeply_is_refused_whatever_its_kind() -> None:
    def nested(depth: int) -> Any:
        return [nested(depth - 1)] if depth else 1

    signal = "wr.coordinator_signal"
    assert blocked(signal, {"payload": {"a": nested(ARTIFACT_DEPTH_MAX - 2)}}) == ()
    (found,) = blocked(signal, {"payload": {"a": nested(ARTIFACT_DEPTH_MAX - 1)}})
    assert "levels deep" in found.message
    bottomless: list[Any] = []
    for _ in range(100_000):
        bottomless = [bottomless]
    (found,) = blocked(signal, {"payload": {"a": bottomless}})
    assert "levels deep" in found.message


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), "\ud800", {"\udfff": 1}])
def test_what_cannot_be_stored_is_refused(wrong: Any) -> None:
    (found,) = blocked("wr.coordinator_signal", {"payload": {"a": wrong}})
    assert found.message == "artifacts[0]: is no JSON that can be stored"


def test_a_flood_of_mistakes_is_told_in_few_words() -> None:
    flood = {f"{'key' * 300}{number}": 1 for number in range(30)}
    found = blocked(CODING, flood)
    assert len(found) == PROBLEMS_MAX
    assert all(len(one.message) <= 512 and len(one.fix) <= 1024 for one in found)


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(
    st.sampled_from([None, *ARTIFACTS, *OWN]),
    st.lists(
        st.tuples(
            st.sampled_from([*ARTIFACTS, *OWN]),
            st.dictionaries(
                st.sampled_from(
                    sorted(
                        {name for kind in ARTIFACTS.values() for name in kind.model_fields}
                        | {"notes", "copy"}
                    )
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
    raw = [{**contract(kind, OWN).example, **changes} for kind, changes in delivered]
    accepted, found = check(wanted, None, raw, OWN)
    if not found:
        assert len(accepted) == len(raw)
        assert wanted is None or wanted in [artifact.kind for artifact in accepted]
    for one in found:
        assert one.message.startswith("artifacts")
        assert one.fix
        assert len(one.message) <= 512
        assert len(one.fix) <= 1024
    for artifact in accepted:
        written = json.loads(artifact.model_dump_json())
        assert check(artifact.kind, None, [written], OWN) == ((artifact,), ())
        assert problems(contract(artifact.kind, OWN).json_schema, written) == ()


# --- a project's own kinds ------------------------------------------------------------------


def test_an_artifact_of_the_projects_own_kind_is_checked_by_its_schema() -> None:
    raw = {"version": "2.4", "notes": ["Faster."]}
    (accepted,), found = check(NOTES, None, [raw], OWN)
    assert accepted.model_dump() == {"kind": NOTES, **raw}
    assert found == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": 2}, "artifacts[0]: version: must be string, not number"),
        ({"version": "2"}, "artifacts[0]: version: breaks `pattern`"),
        ({"notes": []}, "artifacts[0]: notes"),
        ({"extra": 1}, "artifacts[0]: Additional properties are not allowed"),
    ],
)
def test_what_breaks_the_projects_schema_is_named(changes: dict[str, Any], said: str) -> None:
    raw = {**contract(NOTES, OWN).example, **changes}
    accepted, (found,) = check(NOTES, None, [raw], OWN)
    assert accepted == ()
    assert found.message.startswith(said)
    assert found.fix.startswith(f'For example {{"kind": "{NOTES}"')


def test_an_unknown_field_of_the_projects_kind_names_the_nearest_one() -> None:
    raw = {"version": "2.4", "notes": ["Faster."], "note": "x"}
    _, (found,) = check(NOTES, None, [raw], OWN)
    assert found.fix.startswith("Perhaps 'notes' instead of 'note'.")


def test_the_contract_of_a_projects_kind_has_its_kind_and_the_authors_example() -> None:
    told = contract(NOTES, OWN)
    assert told.json_schema["properties"]["kind"] == {"const": NOTES}
    assert told.json_schema["required"] == ["kind", "version", "notes"]
    assert told.example == {"kind": NOTES, "version": "2.4", "notes": ["Faster."]}
    assert "kind" not in OWN[NOTES]["properties"]
