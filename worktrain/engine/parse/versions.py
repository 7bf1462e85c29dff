"""Versions of the spec schema: which rules a document is read by, and what came when."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from worktrain.contracts.spec import SCHEMA_VERSION
from worktrain.engine.fault import Fault, Path

Age = Literal["older", "same", "newer"]
Version = tuple[int, int, int]

INTRODUCED: Mapping[str, Version] = {
    "promptBlocks": (0, 2, 0),
    "templateCall": (0, 2, 0),
    "outputContract": (0, 2, 0),
    "features": (0, 2, 0),
    "extensionPoints": (0, 2, 0),
    "references": (0, 2, 0),
    "assessments": (0, 3, 0),
    "assessmentRefs": (0, 3, 0),
    "assessmentConsequences": (0, 3, 0),
    "parallelDelegations": (0, 3, 0),
    "promptFragments": (0, 3, 0),
    "metricsProfile": (0, 3, 0),
    "modelTier": (0, 3, 0),
    "verification": (0, 3, 0),
    "audit": (0, 3, 0),
}
"""The version that a key of a spec or of a step came with; one that is not here was always there.
Parallel steps came with `parallelDelegations`."""

UNVERSIONED: Version = (0, 2, 0)
"""Before it a spec needed no version of its own."""
FIRST_VERSION = "0.0.1"
"""The version of a spec that has none."""


def written(data: Any) -> Version | None:
    """The schemaVersion that a document names; None when it names none that is one."""
    said = data.get("schemaVersion") if isinstance(data, dict) else None
    if not isinstance(said, str) or not re.fullmatch(r"\d+\.\d+\.\d+", said, re.ASCII):
        return None
    # Nine digits tell which one is newer, and any number of them would be too costly.
    major, minor, patch = (int(part[:9]) for part in said.split("."))
    return major, minor, patch


def age(version: Version | None) -> Age:
    """Compared with the schema that is known here; one without a version is the same."""
    present = tuple(int(part) for part in SCHEMA_VERSION.split("."))[:2]
    if version is None or version[:2] == present:
        return "same"
    return "newer" if version[:2] > present else "older"


def later(data: Any, version: Version) -> Iterator[Fault]:
    """Every key that its version did not have yet."""
    for path, mapping in _places(data):
        for key in mapping:
            since = INTRODUCED.get(key)
            if since and since > version:
                came = ".".join(str(part) for part in since)
                said = f"`{key}` came with schema {came}; write `schemaVersion: {came}`"
                yield Fault(path=(*path, key), rule="later-field", message=said)


def dated(data: Any, version: Version) -> Any:
    """The data as its version meant it."""
    if isinstance(data, dict) and version < UNVERSIONED:
        return {"version": FIRST_VERSION, **data}
    return data


def _places(data: Any) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The spec and each of its steps, those of bodies too."""
    if not isinstance(data, dict):
        return
    yield (), data
    for path, step in _steps(data.get("steps"), ("steps",)):
        yield path, step
        yield from _steps(step.get("body"), (*path, "body"))


def _steps(found: Any, path: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for index, step in enumerate(found if isinstance(found, list) else ()):
        if isinstance(step, dict):
            yield (*path, index), step
