"""Which pipeline a task takes, which of its phases run, and what is demanded before a merge."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from worktrain.contracts.base import JsonObject
from worktrain.contracts.examination import Examination
from worktrain.contracts.route import (
    Demand,
    Override,
    Phase,
    PipelineKind,
    Route,
    Stage,
    TaskClass,
)
from worktrain.contracts.task import Task
from worktrain.contracts.workspace import WorkspaceConfig
from worktrain.coordinators.classify import plain

KNOWN_LABELS: Mapping[str, PipelineKind] = {
    "feature": PipelineKind.FEATURE,
    "implement": PipelineKind.IMPLEMENT,
    "quick": PipelineKind.QUICK,
    "review": PipelineKind.REVIEW,
    "bugfix": PipelineKind.BUGFIX,
    "bug": PipelineKind.BUGFIX,
    "defect": PipelineKind.BUGFIX,
    "regression": PipelineKind.BUGFIX,
    "hotfix": PipelineKind.BUGFIX,
    "incident": PipelineKind.BUGFIX,
    "ready-to-implement": PipelineKind.IMPLEMENT,
    "chore": PipelineKind.QUICK,
    "trivial": PipelineKind.QUICK,
    "typo": PipelineKind.QUICK,
}
"""Labels that choose a pipeline, unless the workspace's own do."""

CAREFUL = (
    PipelineKind.QUICK,
    PipelineKind.REVIEW,
    PipelineKind.IMPLEMENT,
    PipelineKind.BUGFIX,
    PipelineKind.FEATURE,
)
"""Of two labels that choose differently, the pipeline that stands later counts."""

BRANCH = "branch:"
HUMAN_LABEL = "needs-human-review"
SECURITY = frozenset({"security", "auth", "authentication", "authorization", "authorisation"})
"""Domains, without regard to case."""

STAGES: Mapping[PipelineKind, tuple[tuple[Phase, str], ...]] = {
    PipelineKind.FEATURE: (
        (Phase.DISCOVERY, "discovery"),
        (Phase.SHAPING, "shaping"),
        (Phase.DESIGN, "ui-ux-design"),
        (Phase.DESIGN, "architecture-design"),
        (Phase.CODING, "coding-task"),
    ),
    PipelineKind.IMPLEMENT: (
        (Phase.DESIGN, "ui-ux-design"),
        (Phase.DESIGN, "architecture-design"),
        (Phase.CODING, "coding-task"),
    ),
    PipelineKind.QUICK: ((Phase.CODING, "quick-task"),),
    PipelineKind.BUGFIX: (
        (Phase.INVESTIGATION, "bug-investigation"),
        (Phase.CODING, "coding-task"),
    ),
    PipelineKind.REVIEW: (),
    PipelineKind.SPEC: (),
}
"""Phases with their specs, up to coding, in order."""

RULES: Mapping[str, Callable[[TaskClass], tuple[bool, str]]] = {
    "discovery": lambda found: _discovery(found),
    "shaping": lambda _: (True, "acceptance criteria are set before anything is built"),
    "ui-ux-design": lambda found: _design(found, found.has_ui, "what people see on a screen"),
    "architecture-design": lambda found: _design(
        found, found.touches_architecture, "the architecture"
    ),
    "bug-investigation": lambda _: (True, "a fault is mended only once its cause is known"),
    "coding-task": lambda _: (True, "this is where the change is made"),
    "quick-task": lambda _: (True, "a small change is made in one go"),
}
"""Whether the phase with this spec runs, and why."""

Gate = tuple[str, str]
"""A demand's gate and its detail."""

READINESS: Gate = ("audit", "production-readiness-audit")
BY_RISK: Mapping[str, tuple[Gate, ...]] = {
    "Low": (),
    "Medium": (),
    "High": (READINESS, ("verification", "")),
    "Critical": (READINESS, ("verification", ""), ("second_review", ""), ("human", "")),
}
CRITERIA_BY_RISK: Mapping[str, tuple[Gate, ...]] = {
    "Low": (),
    "Medium": (),
    "High": (("criteria", ""),),
    "Critical": (("criteria", ""),),
}
"""In pipelines that have acceptance criteria of their own."""
HASTE_BY_RISK: Mapping[str, tuple[Gate, ...]] = {
    "Low": (),
    "Medium": (),
    "High": (("second_review", ""), ("human", "")),
    "Critical": (("second_review", ""), ("human", "")),
}
"""In the quick pipeline, which has no phase that would think first."""
WITH_CRITERIA = frozenset({PipelineKind.FEATURE, PipelineKind.IMPLEMENT})
NOTHING_MERGED = frozenset({PipelineKind.REVIEW, PipelineKind.SPEC})
RISKY = frozenset({"High", "Critical"})


def route_of(
    kind: PipelineKind,
    override: Override | None,
    task: Task,
    found: TaskClass,
    config: WorkspaceConfig,
) -> Route:
    """The way of a task through the phases: asked for, or chosen by labels and classification."""
    pipeline, why = _pipeline(kind, override, task, found, config)
    return Route(
        pipeline=pipeline,
        why=why,
        stages=tuple(_stage(phase, spec, found) for phase, spec in STAGES[pipeline]),
        demands=_joined(_demands(pipeline, task, found)),
        variables=_variables(pipeline, found),
    )


LINES_SMALL, FILES_SMALL = 60, 4
"""Up to so many changed lines and files one reviewer sees all of a change."""


def rigor_of_change(found: Examination) -> str:
    """How thoroughly a change is reviewed that no task was classified for."""
    lines = sum(change.added + change.removed for change in found.changes)
    small = lines <= LINES_SMALL and len(found.changes) <= FILES_SMALL
    return "STANDARD" if small and not found.sensitive and not found.unread else "THOROUGH"


# --- which pipeline --------------------------------------------------------------------------


def _pipeline(
    kind: PipelineKind,
    override: Override | None,
    task: Task,
    found: TaskClass,
    config: WorkspaceConfig,
) -> tuple[PipelineKind, str]:
    if override is not None and override.pipeline is not PipelineKind.AUTO:
        return override.pipeline, f"{override.by} chose it: {override.reason}"
    if kind is not PipelineKind.AUTO:
        return kind, "asked for"
    return (
        _by_label(task, {plain(name): PipelineKind(to) for name, to in config.labels.items()})
        or _by_label(task, KNOWN_LABELS)
        or _by_source(task)
        or _by_class(found)
    )


def _by_label(task: Task, table: Mapping[str, PipelineKind]) -> tuple[PipelineKind, str] | None:
    meant = [(table[plain(label)], label) for label in task.labels if plain(label) in table]
    if not meant:
        return None
    pipeline, label = max(meant, key=lambda choice: CAREFUL.index(choice[0]))
    others = sorted({f"{to} by {plain(name)!r}" for to, name in meant if to is not pipeline})
    more = f", which is more careful than {', '.join(others)}" if others else ""
    return pipeline, f"label {plain(label)!r}{more}"


def _by_source(task: Task) -> tuple[PipelineKind, str] | None:
    if not task.source.startswith(BRANCH):
        return None
    return PipelineKind.REVIEW, f"the task is to look at branch {task.source.removeprefix(BRANCH)}"


def _by_class(found: TaskClass) -> tuple[PipelineKind, str]:
    if found.task_type == "bug-fix":
        return PipelineKind.BUGFIX, f"classified as bug-fix ({_reason(found, 'taskType')})"
    designed = found.has_ui or found.touches_architecture
    if found.complexity == "Small" and found.risk == "Low" and not designed:
        return PipelineKind.QUICK, "classified as Small, of Low risk, with nothing to design"
    if found.maturity == "specified":
        reason = _reason(found, "maturity")
        return PipelineKind.IMPLEMENT, f"what has to be true at the end is specified ({reason})"
    return PipelineKind.FEATURE, (
        f"classified as {found.task_type}, {found.complexity}, of {found.risk} risk, and what is "
        f"to be built is not specified"
    )


def _reason(found: TaskClass, name: str) -> str:
    return next((one.why for one in found.judged if one.name == name), "as classified")


# --- which phases ----------------------------------------------------------------------------


def _stage(phase: Phase, spec: str, found: TaskClass) -> Stage:
    runs, why = RULES[spec](found)
    return Stage(phase=phase, spec=spec, runs=runs, why=why)


def _discovery(found: TaskClass) -> tuple[bool, str]:
    if found.maturity == "idea":
        return True, "what is to be built is open"
    return False, f"the task is {found.maturity} ({_reason(found, 'maturity')})"


def _design(found: TaskClass, wanted: bool, what: str) -> tuple[bool, str]:
    if not wanted:
        return False, f"it does not touch {what}"
    if found.complexity == "Small":
        return False, f"it touches {what}, and is too small to design first"
    return True, f"it touches {what}, and is {found.complexity}"


# --- what is demanded ------------------------------------------------------------------------


def _demands(pipeline: PipelineKind, task: Task, found: TaskClass) -> Iterator[Demand]:
    if pipeline in NOTHING_MERGED:
        return
    at_risk = f"the risk is {found.risk} ({_reason(found, 'riskLevel')})"
    yield from _demanded(BY_RISK[found.risk], at_risk)
    if pipeline in WITH_CRITERIA:
        yield from _demanded(CRITERIA_BY_RISK[found.risk], at_risk)
    if pipeline is PipelineKind.QUICK:
        hasty = f"a quick task has no phase that thinks first, and {at_risk}"
        yield from _demanded(HASTE_BY_RISK[found.risk], hasty)
    if found.touches_architecture and found.complexity == "Large":
        why = "it is Large and touches the architecture"
        yield from _demanded((("audit", "architecture-audit"),), why)
    labels = [plain(label) for label in task.labels]
    domains = [domain for domain in found.domains if domain.casefold() in SECURITY]
    if domains or "security" in labels:
        why = f"it is about {domains[0]}" if domains else "label 'security'"
        yield from _demanded((("audit", "security-audit"),), why)
    if HUMAN_LABEL in labels:
        yield from _demanded((("human", ""),), f"label {HUMAN_LABEL!r}")


def _demanded(gates: Sequence[Gate], why: str) -> Iterator[Demand]:
    for gate, detail in gates:
        yield Demand.model_validate({"gate": gate, "detail": detail, "why": why})


def _joined(demands: Iterator[Demand]) -> tuple[Demand, ...]:
    """Each demand once, with every reason."""
    found: dict[Gate, Demand] = {}
    for demand in demands:
        key = (demand.gate, demand.detail)
        why = f"{found[key].why}; {demand.why}" if key in found else demand.why
        found[key] = demand.model_copy(update={"why": why})
    return tuple(found.values())


# --- what specs are told ---------------------------------------------------------------------


def _variables(pipeline: PipelineKind, found: TaskClass) -> JsonObject:
    return {
        "rigorMode": _rigor(pipeline, found),
        "taskComplexity": found.complexity,
        "riskLevel": found.risk,
    }


def _rigor(pipeline: PipelineKind, found: TaskClass) -> str:
    if found.complexity == "Large" or found.risk in RISKY:
        return "THOROUGH"
    small = found.complexity == "Small" and found.risk == "Low"
    return "QUICK" if pipeline is PipelineKind.QUICK or small else "STANDARD"
