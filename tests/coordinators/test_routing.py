"""Routing: every task has a route, every phase a reason, and a higher risk demands no less."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from worktrain.contracts.route import (
    Judged,
    Override,
    Phase,
    PipelineKind,
    Route,
    TaskClass,
)
from worktrain.contracts.task import Task
from worktrain.contracts.workspace import WorkspaceConfig
from worktrain.coordinators.routing import (
    BY_RISK,
    CAREFUL,
    KNOWN_LABELS,
    RULES,
    STAGES,
    WITH_CRITERIA,
    route_of,
)

SPECS = Path(__file__).parents[2] / "workflow_specs"
CONFIG = WorkspaceConfig()
TASK = Task(source="typed", title="Make it better")
RISKS = ("Low", "Medium", "High", "Critical")
AUTO = PipelineKind.AUTO


def choices(field: str) -> tuple[str, ...]:
    return get_args(TaskClass.model_fields[field].annotation)


def a_class(**changes: Any) -> TaskClass:
    made = {
        "task_type": "feature",
        "complexity": "Medium",
        "risk": "Medium",
        "has_ui": False,
        "touches_architecture": False,
        "maturity": "idea",
        "judged": (Judged(name="riskLevel", value="x", by="word", why="word 'x' in the title"),),
    }
    return TaskClass.model_validate({**made, **changes})


def every_class() -> Iterator[TaskClass]:
    for task_type, complexity, risk, maturity, ui, architecture in product(
        choices("task_type"),
        choices("complexity"),
        RISKS,
        choices("maturity"),
        (False, True),
        (False, True),
    ):
        yield a_class(
            task_type=task_type,
            complexity=complexity,
            risk=risk,
            maturity=maturity,
            has_ui=ui,
            touches_architecture=architecture,
        )


def routed(
    found: TaskClass,
    kind: PipelineKind = AUTO,
    *labels: str,
    source: str = "typed",
    override: Override | None = None,
    config: WorkspaceConfig = CONFIG,
) -> Route:
    task = TASK.model_copy(update={"labels": labels, "source": source})
    return route_of(kind, override, task, found, config)


def demanded(route: Route) -> set[tuple[str, str]]:
    return {(demand.gate, demand.detail) for demand in route.demands}


def running(route: Route) -> list[str]:
    return [stage.spec for stage in route.stages if stage.runs]


# --- every combination -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", PipelineKind)
def test_every_task_has_a_route_with_reasons_and_codes_once_at_the_end(kind: PipelineKind) -> None:
    for found in every_class():
        route = routed(found, kind)
        phases = [stage.phase for stage in route.stages]
        assert route.pipeline is kind or kind is AUTO
        assert route.pipeline is not AUTO
        coding = 0 if route.pipeline in (PipelineKind.REVIEW, PipelineKind.SPEC) else 1
        assert phases.count(Phase.CODING) == coding
        assert phases[-1:] == [Phase.CODING] * coding
        assert all(stage.runs for stage in route.stages[-1:])
        assert all(why for why in (route.why, *(one.why for one in route.stages)))
        assert all(demand.why for demand in route.demands)
        assert len(demanded(route)) == len(route.demands)


@pytest.mark.parametrize("kind", PipelineKind)
def test_a_higher_risk_never_takes_a_demand_away(kind: PipelineKind) -> None:
    for found in every_class():
        if found.risk != "Critical":
            higher = RISKS[RISKS.index(found.risk) + 1]
            raised = found.model_copy(update={"risk": higher})
            # The risk can also change which pipeline AUTO takes; the demands hold all the same.
            assert demanded(routed(found, kind)) <= demanded(routed(raised, kind))


def test_every_phase_is_led_by_a_spec_that_there_is_and_has_its_rule() -> None:
    named = {spec for stages in STAGES.values() for _, spec in stages}
    audits = {detail for gates in BY_RISK.values() for gate, detail in gates if gate == "audit"}
    assert named == set(RULES)
    assert set(STAGES) == set(PipelineKind) - {AUTO}
    for spec in named | audits | {"security-audit", "architecture-audit"}:
        assert (SPECS / f"{spec}.yaml").is_file()


def test_what_specs_are_told_is_what_they_say_they_need() -> None:
    told = {"rigorMode", "taskComplexity", "riskLevel"}
    allowed: dict[str, set[str]] = {}
    for path in SPECS.glob("*.yaml"):
        for name, schema in (yaml.safe_load(path.read_text()).get("needs") or {}).items():
            if name in told:
                allowed[name] = allowed.get(name, set(schema["enum"])) & set(schema["enum"])
    for found in every_class():
        route = routed(found)
        assert set(route.variables) == set(allowed) == told
        assert all(value in allowed[name] for name, value in route.variables.items())


# --- which pipeline --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in PipelineKind if kind is not AUTO])
def test_a_pipeline_that_is_asked_for_is_kept_whatever_the_labels(kind: PipelineKind) -> None:
    route = routed(a_class(task_type="bug-fix"), kind, "bug", "quick", source="branch:x")
    assert (route.pipeline, route.why) == (kind, "asked for")


def test_an_override_comes_before_everything_and_says_who_and_why() -> None:
    override = Override(by="Olive", pipeline=PipelineKind.QUICK, reason="one word")
    route = routed(a_class(), PipelineKind.FEATURE, "bug", override=override)
    assert (route.pipeline, route.why) == (PipelineKind.QUICK, "Olive chose it: one word")


@pytest.mark.parametrize(("label", "kind"), KNOWN_LABELS.items())
def test_a_known_label_chooses_before_source_and_class(label: str, kind: PipelineKind) -> None:
    found = a_class(maturity="specified")
    route = routed(found, AUTO, f"Type: {label}", source="branch:x")
    assert (route.pipeline, route.why) == (kind, f"label {label!r}")


def test_a_label_of_the_workspace_comes_before_the_known_ones() -> None:
    config = WorkspaceConfig.model_validate({"labels": {"Tiny One": "quick"}})
    route = routed(a_class(), AUTO, "bug", "tiny-one", config=config)
    assert (route.pipeline, route.why) == (PipelineKind.QUICK, "label 'tiny-one'")


@pytest.mark.parametrize("labels", [("quick", "bug"), ("bug", "quick")])
def test_of_two_labels_the_one_with_the_more_careful_pipeline_counts(
    labels: tuple[str, ...],
) -> None:
    route = routed(a_class(), AUTO, *labels)
    assert route.pipeline is PipelineKind.BUGFIX
    assert route.why == "label 'bug', which is more careful than quick by 'quick'"
    assert set(CAREFUL) == set(KNOWN_LABELS.values())


def test_a_task_about_a_branch_is_a_review() -> None:
    route = routed(a_class(task_type="bug-fix"), source="branch:fix/login")
    assert route.pipeline is PipelineKind.REVIEW
    assert "fix/login" in route.why
    assert not route.stages
    assert not route.demands


def test_the_classification_chooses_when_nothing_else_does() -> None:
    for found in every_class():
        small = found.complexity == "Small" and found.risk == "Low"
        designed = found.has_ui or found.touches_architecture
        if found.task_type == "bug-fix":
            wanted = PipelineKind.BUGFIX
        elif small and not designed:
            wanted = PipelineKind.QUICK
        elif found.maturity == "specified":
            wanted = PipelineKind.IMPLEMENT
        else:
            wanted = PipelineKind.FEATURE
        assert routed(found).pipeline is wanted


# --- which phases ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "changes", "specs"),
    [
        (PipelineKind.FEATURE, {}, ["discovery", "shaping", "coding-task"]),
        (PipelineKind.FEATURE, {"maturity": "shaped"}, ["shaping", "coding-task"]),
        (PipelineKind.FEATURE, {"maturity": "specified"}, ["shaping", "coding-task"]),
        (PipelineKind.IMPLEMENT, {}, ["coding-task"]),
        (PipelineKind.IMPLEMENT, {"has_ui": True}, ["ui-ux-design", "coding-task"]),
        (
            PipelineKind.IMPLEMENT,
            {"has_ui": True, "touches_architecture": True, "complexity": "Large"},
            ["ui-ux-design", "architecture-design", "coding-task"],
        ),
        (PipelineKind.IMPLEMENT, {"has_ui": True, "complexity": "Small"}, ["coding-task"]),
        (PipelineKind.QUICK, {"has_ui": True, "complexity": "Large"}, ["quick-task"]),
        (PipelineKind.BUGFIX, {"has_ui": True}, ["bug-investigation", "coding-task"]),
    ],
)
def test_the_phases_that_run_are_those_of_the_pipeline_that_the_task_needs(
    kind: PipelineKind, changes: dict[str, Any], specs: list[str]
) -> None:
    assert running(routed(a_class(**changes), kind)) == specs


def test_a_phase_that_is_left_out_stays_in_the_route_and_says_why() -> None:
    whys = {
        stage.spec: stage.why
        for stage in routed(
            a_class(maturity="shaped", has_ui=True, complexity="Small"), PipelineKind.FEATURE
        ).stages
        if not stage.runs
    }
    assert whys == {
        "discovery": "the task is shaped (as classified)",
        "ui-ux-design": "it touches what people see on a screen, and is too small to design first",
        "architecture-design": "it does not touch the architecture",
    }


# --- what is demanded ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [PipelineKind.FEATURE, PipelineKind.BUGFIX])
@pytest.mark.parametrize(
    ("risk", "gates"),
    [
        ("Low", set()),
        ("Medium", set()),
        ("High", {"audit", "verification"}),
        ("Critical", {"audit", "verification", "second_review", "human"}),
    ],
)
def test_a_risk_has_its_demands(kind: PipelineKind, risk: str, gates: set[str]) -> None:
    route = routed(a_class(risk=risk), kind)
    own = {"criteria"} if kind in WITH_CRITERIA and risk in ("High", "Critical") else set()
    assert {demand.gate for demand in route.demands} == gates | own
    assert all(f"the risk is {risk} (word 'x'" in demand.why for demand in route.demands)


@pytest.mark.parametrize("risk", ["High", "Critical"])
@pytest.mark.parametrize("how", ["asked", "label", "override"])
def test_a_risky_task_that_is_to_be_quick_is_quick_but_needs_a_second_review_and_a_human(
    risk: str, how: str
) -> None:
    override = Override(by="Olive", pipeline=PipelineKind.QUICK, reason="in a hurry")
    route = {
        "asked": lambda: routed(a_class(risk=risk), PipelineKind.QUICK),
        "label": lambda: routed(a_class(risk=risk), AUTO, "quick"),
        "override": lambda: routed(a_class(risk=risk), AUTO, override=override),
    }[how]()
    assert running(route) == ["quick-task"]
    assert {("second_review", ""), ("human", "")} <= demanded(route)
    assert route.variables["rigorMode"] == "THOROUGH"


def test_a_human_is_demanded_by_label() -> None:
    route = routed(a_class(risk="Low"), AUTO, "Needs Human Review")
    assert demanded(route) == {("human", "")}
    assert route.demands[0].why == "label 'needs-human-review'"


def test_a_demand_with_two_reasons_stands_once_with_both() -> None:
    route = routed(a_class(risk="Critical"), AUTO, "needs-human-review")
    (human,) = [demand for demand in route.demands if demand.gate == "human"]
    assert "the risk is Critical" in human.why
    assert "label 'needs-human-review'" in human.why


@pytest.mark.parametrize(
    ("changes", "labels"),
    [({"domains": ("Security",)}, ()), ({"domains": ("mail", "auth")}, ()), ({}, ("security",))],
)
def test_security_demands_its_audit(changes: dict[str, Any], labels: tuple[str, ...]) -> None:
    assert ("audit", "security-audit") in demanded(routed(a_class(**changes), AUTO, *labels))
    assert ("audit", "security-audit") not in demanded(routed(a_class(domains=("mail",))))


def test_a_large_change_of_the_architecture_demands_its_audit() -> None:
    for found in every_class():
        audited = ("audit", "architecture-audit") in demanded(routed(found, PipelineKind.BUGFIX))
        assert audited == (found.touches_architecture and found.complexity == "Large")


# --- what specs are told -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "complexity", "risk", "rigor"),
    [
        (PipelineKind.FEATURE, "Small", "Low", "QUICK"),
        (PipelineKind.FEATURE, "Small", "Medium", "STANDARD"),
        (PipelineKind.FEATURE, "Medium", "Low", "STANDARD"),
        (PipelineKind.FEATURE, "Small", "High", "THOROUGH"),
        (PipelineKind.FEATURE, "Large", "Low", "THOROUGH"),
        (PipelineKind.QUICK, "Medium", "Medium", "QUICK"),
        (PipelineKind.QUICK, "Small", "Critical", "THOROUGH"),
    ],
)
def test_rigor_follows_size_and_risk(
    kind: PipelineKind, complexity: str, risk: str, rigor: str
) -> None:
    told = routed(a_class(complexity=complexity, risk=risk), kind).variables
    assert told == {"rigorMode": rigor, "taskComplexity": complexity, "riskLevel": risk}
