"""Is what a step delivered what its contract asks for? If not, what exactly is wrong?"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from worktrain.contracts.artifact import (
    CodingHandoff,
    Contract,
    DiscoveryHandoff,
    Handoff,
    ReviewVerdict,
    ShapingHandoff,
)
from worktrain.contracts.base import Authored, JsonObject

ARTIFACT_BYTES_MAX = 32_768
"""Artifacts are decided on in workflows, so they stand in histories: kept small on purpose."""

PROBLEMS_MAX = 20
PROBLEM_CHARACTERS_MAX = 500

EXAMPLES: Mapping[str, JsonObject] = {
    "wr.discovery_handoff": {
        "kind": "wr.discovery_handoff",
        "selectedDirection": "Normalise the address once, at the edge, before it is compared.",
        "confidenceBand": "high",
        "keyInvariants": ["An address is stored as the user typed it."],
        "rejectedDirections": [
            {"direction": "Compare case-insensitively everywhere", "reason": "Eleven places."}
        ],
        "implementationConstraints": ["No new dependency."],
        "keyCodebaseLocations": [{"path": "app/login.py", "relevance": "The comparison."}],
    },
    "wr.shaping_handoff": {
        "kind": "wr.shaping_handoff",
        "selectedShape": "One function `normalise(address)` called by login and sign-up.",
        "appetite": "small: one file and its test",
        "keyConstraints": ["Stored addresses do not change."],
        "rabbitHoles": ["Unicode addresses: out of reach of this task."],
        "outOfScope": ["Merging existing duplicate accounts."],
        "validationChecklist": ["The login tests pass."],
        "acceptanceCriteria": [
            {"id": "AC1", "statement": "Login with an upper-case address finds the account."},
            {"id": "AC2", "statement": "A wrong address is still refused."},
        ],
    },
    "wr.coding_handoff": {
        "kind": "wr.coding_handoff",
        "commitSubject": "Find accounts whatever the case of the address",
        "keyDecisions": ["Normalised at the edge, so that storage stays as it is."],
        "testsAdded": ["tests/test_login.py::test_upper_case_address"],
        "filesChanged": ["app/login.py", "tests/test_login.py"],
        "criteria": [
            {"criterion": "AC1", "evidence": "tests/test_login.py::test_upper_case_address"},
            {"criterion": "AC2", "evidence": "tests/test_login.py::test_wrong_address"},
        ],
    },
    "wr.review_verdict": {
        "kind": "wr.review_verdict",
        "verdict": "minor",
        "confidence": "high",
        "findings": [
            {
                "severity": "minor",
                "summary": "normalise() strips inner spaces too.",
                "findingCategory": "correctness",
                "file": "app/login.py",
                "startLine": 12,
                "endLine": 12,
                "causalLink": "replace(' ', '') removes every space, strip() was meant.",
                "remediation": "Use strip().",
            }
        ],
        "summary": "The change does what was asked; one edge case is wrong.",
    },
}

ARTIFACTS: Mapping[str, type[Authored]] = {
    "wr.discovery_handoff": DiscoveryHandoff,
    "wr.shaping_handoff": ShapingHandoff,
    "wr.coding_handoff": CodingHandoff,
    "wr.review_verdict": ReviewVerdict,
}


def kind_of(contract_ref: str) -> str | None:
    """The artifact kind that a `wr.contracts.X` asks for, or None when there is no such one."""
    kind = contract_ref.replace("wr.contracts.", "wr.", 1)
    return kind if contract_ref.startswith("wr.contracts.") and kind in ARTIFACTS else None


def contract(kind: str) -> Contract:
    """What a model is shown of an artifact. Raises KeyError for an unknown kind."""
    return Contract(
        kind=kind, json_schema=ARTIFACTS[kind].model_json_schema(), example=dict(EXAMPLES[kind])
    )


def check(
    wanted: str | None, delivered: Sequence[Mapping[str, Any]]
) -> tuple[tuple[Handoff, ...], tuple[str, ...]]:
    """The artifacts that are valid, and every problem in words that tell what to change.

    An artifact without `kind` is taken for the wanted one. Nothing is accepted in part: with a
    problem, the caller refuses the whole delivery.
    """
    accepted: list[Handoff] = []
    problems: list[str] = []
    for index, raw in enumerate(delivered):
        where = f"artifacts[{index}]"
        kind = raw.get("kind", wanted)
        # A model may write anything here, even what cannot be looked up.
        if not isinstance(kind, str) or kind not in ARTIFACTS:
            shown = repr(kind)[:100]
            near = get_close_matches(shown.strip("'"), ARTIFACTS, n=1)
            problems.append(
                f"{where}.kind: {shown} is no artifact kind"
                + (
                    f"; did you mean {near[0]!r}?"
                    if near
                    else f"; there are {', '.join(ARTIFACTS)}"
                )
            )
            continue
        found = _validated(ARTIFACTS[kind], {**raw, "kind": kind}, where)
        if isinstance(found, tuple):
            problems.extend(found)
        else:
            accepted.append(found)  # type: ignore[arg-type]
    if wanted and not any(getattr(a, "kind", None) == wanted for a in accepted) and not problems:
        problems.append(f"artifacts: an artifact of kind {wanted!r} is missing")
    return tuple(accepted), bounded(problems)


def bounded(problems: Sequence[str]) -> tuple[str, ...]:
    """The first problems, each shortened: they stand in histories, and a model wrote the paths."""
    shown = [
        one if len(one) <= PROBLEM_CHARACTERS_MAX else f"{one[: PROBLEM_CHARACTERS_MAX - 1]}…"
        for one in problems[:PROBLEMS_MAX]
    ]
    left_out = len(problems) - PROBLEMS_MAX
    return (*shown, f"and {left_out} more problems") if left_out > 0 else tuple(shown)


def _validated(
    model: type[Authored], raw: Mapping[str, Any], where: str
) -> Authored | tuple[str, ...]:
    try:
        value = model.model_validate(raw, extra="forbid")
    except ValidationError as error:
        found = error.errors(include_url=False)
        # pydantic counts only the members that are right, and calls the list too short for it.
        wrong_inside = {one["loc"][:depth] for one in found for depth in range(1, len(one["loc"]))}
        return tuple(
            _told(problem, where, model)
            for problem in found
            if problem["type"] != "too_short" or problem["loc"] not in wrong_inside
        )
    size = len(value.model_dump_json().encode())
    if size > ARTIFACT_BYTES_MAX:
        return (f"{where}: {size} bytes; at most {ARTIFACT_BYTES_MAX} are taken, shorten it",)
    return value


def _told(problem: Any, where: str, model: type[Authored]) -> str:
    path = where + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]
    )
    if problem["type"] == "extra_forbidden":
        *above, name = problem["loc"]
        near = get_close_matches(str(name)[:100], _fields_at(model, above), n=1)
        return f"{path}: no such field" + (f"; did you mean {near[0]!r}?" if near else "")
    return f"{path}: {problem['msg'].removeprefix('Value error, ')}"


def _fields_at(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """The fields known at a place inside an artifact."""
    places = [model]
    for part in location:
        if isinstance(part, str):
            places = [
                below
                for place in places
                if part in place.model_fields
                for below in _models_in(place.model_fields[part].annotation)
            ]
    return [name for place in places for name in place.model_fields]


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]
