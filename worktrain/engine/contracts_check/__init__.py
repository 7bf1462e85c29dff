"""Is what a step delivered what its contract asks for? If not, what exactly is wrong?

The kinds of WorkRail, of our library, and of a project. Source: WorkRail's contracts, section 1.7
of its documentation.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from worktrain.contracts.artifact import (
    Artifact,
    AssessmentReport,
    AuditReport,
    Classification,
    CodingHandoff,
    Contract,
    CoordinatorResult,
    CoordinatorSignal,
    Design,
    DifferentiationHandoff,
    Digest,
    DiscoveryHandoff,
    GateVerdict,
    Investigation,
    LoopControl,
    ProjectArtifact,
    ResearchReport,
    Retrospective,
    ReviewVerdict,
    ShapingHandoff,
    SpecDraft,
    Triage,
)
from worktrain.contracts.base import Authored, JsonObject
from worktrain.contracts.turn import Blocker, BlockerCode, Pointer
from worktrain.engine.blocker import blocker, closest, in_json, invalid
from worktrain.engine.contracts_check.artifact_examples import EXAMPLES
from worktrain.engine.contracts_check.artifact_faults import Told, told
from worktrain.engine.schemas import example_of, problems, untitled

ARTIFACT_BYTES_MAX = 32_768
"""Artifacts are decided on in workflows, so they stand in histories: kept small on purpose."""
ARTIFACT_DEPTH_MAX = 32
"""Lists and objects inside of one another."""
PROBLEMS_MAX = 20
"""Of one artifact; what is told of them all is bounded by the session's limits."""

CONVENTIONS = frozenset({"wr.coordinator_result"})
"""Kinds that are checked when they are delivered, and that no contract can ask for."""

ARTIFACTS: Mapping[str, type[Authored]] = {
    "wr.discovery_handoff": DiscoveryHandoff,
    "wr.shaping_handoff": ShapingHandoff,
    "wr.coding_handoff": CodingHandoff,
    "wr.review_verdict": ReviewVerdict,
    "wr.differentiation_handoff": DifferentiationHandoff,
    "wr.assessment": AssessmentReport,
    "wr.loop_control": LoopControl,
    "wr.coordinator_signal": CoordinatorSignal,
    "wr.gate_verdict": GateVerdict,
    "wr.coordinator_result": CoordinatorResult,
    "wr.classification": Classification,
    "wr.investigation": Investigation,
    "wr.audit_report": AuditReport,
    "wr.research_report": ResearchReport,
    "wr.design": Design,
    "wr.triage": Triage,
    "wr.digest": Digest,
    "wr.retrospective": Retrospective,
    "wr.spec_draft": SpecDraft,
}


def check(
    wanted: str | None,
    offers: str | None,
    delivered: Sequence[Mapping[str, Any]],
    own: Mapping[str, JsonObject] = {},
) -> tuple[tuple[Artifact, ...], tuple[Blocker, ...]]:
    """The artifacts that are valid, and every problem in words that tell what to change.

    `wanted` is the kind that must be there, `offers` one that may be; an artifact without `kind`
    is taken for the first of them. Other kinds are taken too. `own` has the JSON Schema of each
    of the project's kinds. Nothing is accepted in part: with a blocker, the caller refuses the
    whole delivery.
    """
    accepted: list[Artifact] = []
    blockers: list[Blocker] = []
    meant: list[str] = []
    for index, raw in enumerate(delivered):
        where = f"artifacts[{index}]"
        kind = raw.get("kind", wanted or offers)
        # A model may write anything here, even what cannot be looked up.
        if not isinstance(kind, str) or (kind not in ARTIFACTS and kind not in own):
            near = closest(kind, (*ARTIFACTS, *own)) if isinstance(kind, str) else None
            meant += [one for one in (near or wanted,) if one]
            blockers.append(_no_kind(where, kind, near, wanted or offers, own))
            continue
        meant.append(kind)
        try:
            accepted.append(_accepted(kind, raw, own))
        except _Wrong as wrong:
            blockers += [
                invalid(kind, f"{where}{path}: {said}", fix) for path, said, fix in wrong.problems
            ]
    if wanted and wanted not in meant:
        blockers.append(_missing(wanted, meant, own))
    return tuple(accepted), tuple(blockers)


def kind_of(contract_ref: str, own: Mapping[str, JsonObject] = {}) -> str | None:
    """The artifact kind that a contract asks for, or None when there is no such contract.

    `wr.contracts.X` asks for `wr.X`; a project's kind is asked for by its own name.
    """
    if contract_ref in own:
        return contract_ref
    kind = contract_ref.replace("wr.contracts.", "wr.", 1)
    known = kind in ARTIFACTS and kind not in CONVENTIONS
    return kind if contract_ref.startswith("wr.contracts.") and known else None


def contract(kind: str, own: Mapping[str, JsonObject] = {}) -> Contract:
    """What a model is shown of an artifact. Raises KeyError for an unknown kind."""
    if kind in ARTIFACTS:
        schema = untitled(ARTIFACTS[kind].model_json_schema())
        return Contract(kind=kind, json_schema=schema, example=dict(EXAMPLES[kind]))
    authored = own[kind]
    shown = authored.get("examples")
    example = shown[0] if isinstance(shown, list) and shown else example_of(authored)
    fields = example if isinstance(example, dict) else {}
    return Contract(
        kind=kind, json_schema=_with_kind(kind, authored), example={"kind": kind, **fields}
    )


def _with_kind(kind: str, schema: JsonObject) -> JsonObject:
    """A project's schema with `kind` added, which its author leaves out, and without examples."""
    properties = {**schema.get("properties", {}), "kind": {"const": kind}}
    required = [name for name in schema.get("required", ()) if name != "kind"]
    return {
        **{keyword: one for keyword, one in schema.items() if keyword != "examples"},
        "type": "object",
        "properties": properties,
        "required": ["kind", *required],
    }


# --- artifacts ------------------------------------------------------------------------------


class _Wrong(Exception):
    def __init__(self, *wrong: Told) -> None:
        super().__init__()
        self.problems = wrong


def _accepted(kind: str, raw: Mapping[str, Any], own: Mapping[str, JsonObject]) -> Artifact:
    """The artifact. Raises `_Wrong`."""
    text = _as_json({**raw, "kind": kind})
    if kind in own:
        return _accepted_by_schema(kind, text, own)
    model = ARTIFACTS[kind]
    try:
        # Strict, so that what is accepted is what the published JSON Schema says.
        value: Any = model.model_validate_json(text, strict=True, extra="forbid")
    except ValidationError as error:
        found = error.errors(include_url=False)
        # pydantic counts only the members that are right, and calls the list too short for it.
        wrong_inside = {one["loc"][:depth] for one in found for depth in range(1, len(one["loc"]))}
        counted = [
            one for one in found if one["type"] != "too_short" or one["loc"] not in wrong_inside
        ]
        raise _Wrong(*(told(kind, model, one, raw) for one in counted[:PROBLEMS_MAX])) from None
    accepted: Artifact = value
    return accepted


def _accepted_by_schema(kind: str, text: str, own: Mapping[str, JsonObject]) -> ProjectArtifact:
    data = from_json(text)
    told = contract(kind, own)
    wrong = problems(told.json_schema, data)
    if not wrong:
        return ProjectArtifact.model_validate(data)
    known = tuple(told.json_schema["properties"])
    meant = {name: closest(name, known) for name in sorted(set(data) - set(known))[:PROBLEMS_MAX]}
    raise _Wrong(*(("", said, _fix_by_schema(said, meant, told)) for said in wrong))


def _fix_by_schema(said: str, meant: Mapping[str, str | None], told: Contract) -> str:
    hints = [
        f"{one!r} instead of {name!r}" for name, one in meant.items() if one and repr(name) in said
    ]
    perhaps = f"Perhaps {', '.join(hints)}. " if hints else ""
    return f"{perhaps}For example {in_json(told.example, 700)}."


def _as_json(raw: JsonObject) -> str:
    """The artifact as JSON text that can be stored. Raises `_Wrong`."""
    # Depth first: what is nested too deeply cannot be written.
    if _is_deep(raw):
        said = f"nested more than {ARTIFACT_DEPTH_MAX} levels deep"
        raise _Wrong(("", said, "Write it as flatter lists and objects."))
    try:
        text = json.dumps(raw, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        size = len(text.encode())
    except (TypeError, ValueError):
        said = "is no JSON that can be stored"
        fix = "Write texts of valid Unicode and finite numbers; NaN and Infinity are none."
        raise _Wrong(("", said, fix)) from None
    if size > ARTIFACT_BYTES_MAX:
        said = f"{size:,} bytes; at most {ARTIFACT_BYTES_MAX:,} are taken"
        fix = "Shorten it: put long texts into a file and name its path, keep the gravest findings."
        raise _Wrong(("", said, fix))
    return text


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(ARTIFACT_DEPTH_MAX + 1):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list | tuple)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return bool(level)


# --- blockers -------------------------------------------------------------------------------


def _no_kind(
    where: str, kind: Any, near: str | None, asked: str | None, own: Mapping[str, JsonObject]
) -> Blocker:
    said = f"{where}.kind: {repr(kind)[:100]} is no artifact kind"
    if kind is None and asked is None:
        said = f"{where}.kind: is missing, and the step asks for no artifact that it could be"
    if near:
        fix = f"Did you mean {near!r}?"
    else:
        fix = f"Write {asked!r}. " if asked else ""
        fix += f"There are {', '.join((*ARTIFACTS, *own))}."
    return invalid(asked or near or "artifacts", said, fix)


def _missing(wanted: str, meant: Sequence[str], own: Mapping[str, JsonObject]) -> Blocker:
    others = ", ".join(dict.fromkeys(meant))
    said = f"artifacts: an artifact of kind {wanted!r} is missing" + (
        f"; delivered: {others}" if others else ""
    )
    told = contract(wanted, own)
    required = [name for name in told.json_schema.get("required", ()) if name != "kind"]
    fix = f"Call complete_step again with an artifact of kind {wanted!r} in `artifacts`" + (
        f"; it needs {', '.join(required)}." if required else "."
    )
    pointer = Pointer(kind="output_contract", name=wanted)
    return blocker(BlockerCode.MISSING_REQUIRED_OUTPUT, pointer, said, fix)
