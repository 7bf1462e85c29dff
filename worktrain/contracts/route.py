"""Which way a task takes through the phases, and why: values that can be shown before a run."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from worktrain.contracts.base import JsonObject, Value


class PipelineKind(StrEnum):
    AUTO = "auto"
    """What its labels say, or its classification."""
    FEATURE = "feature"
    IMPLEMENT = "implement"
    QUICK = "quick"
    REVIEW = "review"
    BUGFIX = "bugfix"
    SPEC = "spec"
    """One session of any spec, by itself."""


class Phase(StrEnum):
    CLASSIFY = "classify"
    DISCOVERY = "discovery"
    SHAPING = "shaping"
    INVESTIGATION = "investigation"
    DESIGN = "design"
    CODING = "coding"
    REBASE = "rebase"
    """Bringing a change by hand onto a base, or onto slices, that it conflicts with."""
    REVIEW = "review"
    FIX = "fix"
    AUDIT = "audit"
    MERGE = "merge"
    RETROSPECTIVE = "retrospective"
    SESSION = "session"
    """The one phase of a session that runs by itself."""


class Judged(Value):
    """One property of a task: what it was taken for, by which sign."""

    name: str
    """`taskComplexity`, `riskLevel`, ... as in the artifact."""
    value: str
    by: Literal["label", "path", "word", "size", "model", "default"]
    why: str


class TaskClass(Value):
    """What kind of task it is, after signs and model were weighed against each other."""

    task_type: Literal["feature", "bug-fix", "refactor", "investigation", "docs", "chore"]
    complexity: Literal["Small", "Medium", "Large"]
    risk: Literal["Low", "Medium", "High", "Critical"]
    has_ui: bool
    touches_architecture: bool
    maturity: Literal["idea", "shaped", "specified"]
    """idea: what is to be built is open. shaped: bounds are given. specified: criteria are."""
    domains: tuple[str, ...] = ()
    judged: tuple[Judged, ...] = ()
    """Every property with the sign that decided it, in the order of the fields."""


class Stage(Value):
    """One phase: whether it runs, with which spec, and why."""

    phase: Phase
    spec: str
    runs: bool
    why: str


class Demand(Value):
    """Something that the task's class asks for beyond the phases."""

    gate: Literal["human", "second_review", "audit", "criteria", "verification"]
    detail: str
    """For an audit the spec that it follows; else empty or a name."""
    why: str


class Route(Value):
    """Which phases run, and why."""

    pipeline: PipelineKind
    why: str
    """Why this pipeline: an override, a label, the classification."""
    stages: tuple[Stage, ...]
    """Every phase of the pipeline up to coding, in order, with those that are left out."""
    demands: tuple[Demand, ...] = ()
    variables: JsonObject = Field(default_factory=dict)
    """What the specs of all phases are told: rigorMode, taskComplexity, riskLevel, ..."""


class Override(Value):
    """Somebody chose the pipeline instead of labels and classification."""

    by: str
    pipeline: PipelineKind
    reason: str
