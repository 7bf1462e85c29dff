"""The bundled specs as the tests of the library see them, and what each is expected to do."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

from tests.engine.playing import Play, fulfilling
from worktrain.adapters.catalogue import Catalogue
from worktrain.contracts.plan import Compiled, Delegation, PlanStep
from worktrain.contracts.session import Child, SessionEnding
from worktrain.contracts.spec import Spec
from worktrain.contracts.workspace import Limits
from worktrain.engine import conditions
from worktrain.engine.compile import Around, compile_spec
from worktrain.engine.parse import read
from worktrain.engine.schemas import example_of

WORDS = Catalogue().words()


def specs(folder: Traversable) -> dict[str, Spec]:
    """By file name, in order."""
    return {
        entry.name.removesuffix(".yaml"): read(
            entry.read_text(encoding="utf-8"), Spec, f"{folder.name}/{entry.name}"
        )
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".yaml")
    }


SESSIONS = specs(files("workflow_specs"))
ROUTINES = specs(files("workflow_specs") / "routines")
LIBRARY = {one.id: one for one in (*SESSIONS.values(), *ROUTINES.values())}
AROUND = Around(routines={one.id: one for one in ROUTINES.values()})


@cache
def compiled(name: str) -> Compiled:
    return compile_spec(LIBRARY[name], WORDS, AROUND)


def walked(made: Compiled) -> Iterator[PlanStep]:
    """Every step of a plan, those of loops too."""
    for step in made.plan.steps:
        yield step
        yield from step.loop.body if step.loop else ()


def step_of(name: str, step: str) -> PlanStep:
    return next(one for one in walked(compiled(name)) if one.id == step)


def delegations(name: str) -> Iterator[tuple[PlanStep, Delegation]]:
    for step in walked(compiled(name)):
        for one in step.parallel.delegations if step.parallel else ():
            yield step, one


def usual(name: str) -> dict[str, Any]:
    """What a session knows at its start when nobody tells it anything."""
    needs = compiled(name).plan.needs.items()
    return {variable: schema["default"] for variable, schema in needs if "default" in schema}


def run_with(name: str, variables: dict[str, Any]) -> tuple[PlanStep, ...]:
    """The steps, those of loops' bodies left out, that run while the variables stay as given."""
    known = {**usual(name), **variables}
    ran: dict[str, PlanStep] = {}
    for step in compiled(name).plan.steps:
        heard = step.synthesis_of is None or step.synthesis_of in ran
        if heard and (step.when is None or conditions.holds(step.when, known)):
            ran[step.id] = step
    return tuple(ran.values())


def needed(name: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """What a session is given at its start: of these variables those that it knows, and an
    example of whatever else it needs."""
    return {
        variable: variables.get(variable, example_of(schema))
        for variable, schema in compiled(name).plan.needs.items()
        if variable in variables or "default" not in schema
    }


def played(name: str, variables: Mapping[str, Any], decision: str = "stop") -> Play:
    """A session to its end in which these variables are injected, or given by its steps; every
    decision about another pass is this one, and its own sessions give what they promise."""
    says: dict[str, Any] = {}
    for step in walked(compiled(name)):
        given = fulfilling(step)["context"]
        says[step.id] = {"context": {v: variables.get(v, one) for v, one in given.items()}}
        if step.contract == "wr.loop_control":
            control = {"kind": "wr.loop_control", "decision": decision}
            says[step.id] |= {"artifacts": [control]}
    play = Play(
        compiled(name).plan,
        says=says,
        context=needed(name, variables),
        answers={variable: one for variable, one in variables.items() if isinstance(one, str)},
        children=_gives,
        limits=Limits(turns_max=500),
    )
    finish = play.run()
    assert finish.ending is SessionEnding.COMPLETED, finish.why
    return play


def _gives(child: Child) -> dict[str, Any]:
    gives = compiled(child.request.spec).plan.gives
    return {"given": {variable: example_of(schema) for variable, schema in gives.items()}}


# --- what is expected ----------------------------------------------------------------------

THOROUGH = {"rigorMode": "THOROUGH"}
LARGE = {"taskComplexity": "Large"}
SLICES = [{"title": "One", "goal": "The first part of it.", "files": [], "check": "make test"}]
SHAPED = [{**SLICES[0], "id": "S1"}]
"""One slice of a plan that shaping made."""
FINDINGS = [{"id": "F1", "severity": "major", "summary": "Empty input is refused with a trace."}]

ENDS = {
    "architecture-audit": "wr.audit_report",
    "architecture-design": "wr.design",
    "author-a-spec": "wr.spec_draft",
    "bug-investigation": "wr.investigation",
    "classify-task": "wr.classification",
    "coding-task": "wr.coding_handoff",
    "discovery": "wr.discovery_handoff",
    "documentation-update": "wr.coding_handoff",
    "fix": "wr.coding_handoff",
    "gate-evaluation": "wr.gate_verdict",
    "look-back": "wr.retrospective",
    "performance-audit": "wr.audit_report",
    "production-readiness-audit": "wr.audit_report",
    "quick-task": "wr.coding_handoff",
    "rebase": "wr.coding_handoff",
    "refactoring": "wr.coding_handoff",
    "research": "wr.research_report",
    "retrospective": "wr.digest",
    "review": "wr.review_verdict",
    "security-audit": "wr.audit_report",
    "shaping": "wr.shaping_handoff",
    "standup": "wr.digest",
    "test-coverage-audit": "wr.audit_report",
    "triage-alert": "wr.triage",
    "triage-issue": "wr.triage",
    "ui-ux-design": "wr.design",
}
"""Each session spec, and the kind of artifact that its last step delivers."""


class Way(NamedTuple):
    """One way through a spec: variables, whoever gives them, and the steps that then run."""

    spec: str
    variables: dict[str, Any]
    steps: str
    """Ids in order, those of loops' bodies left out."""


WAYS = (
    Way("architecture-audit", {}, "bound draw dimensions attack-claim converge weigh report"),
    Way(
        "architecture-design",
        {"reach": "module", "hardToUndo": False},
        "bound forces alternatives review record",
    ),
    Way(
        "architecture-design",
        {"reach": "system", "hardToUndo": True},
        "bound gather forces alternatives review commit record",
    ),
    Way("author-a-spec", {}, "aim learn shape draft validate challenge keep deliver"),
    Way(
        "bug-investigation",
        {"enough": True},
        "intake reproduce gather hypothesise evidence validate report",
    ),
    Way("classify-task", {}, "look classify"),
    Way("coding-task", {}, "implement hand-over"),
    Way("coding-task", {"taskComplexity": "Small", "riskLevel": "Low"}, "implement hand-over"),
    Way("coding-task", {"slices": SLICES}, "build verify hand-over"),
    Way("coding-task", {"slices": SHAPED}, "build hand-over"),
    Way(
        "coding-task",
        {**LARGE, "riskLevel": "Critical", "slices": SHAPED},
        "build hand-over",
    ),
    Way("coding-task", {"slices": SHAPED * 2}, "build verify hand-over"),
    Way(
        "coding-task",
        {**LARGE, "slices": SLICES, "solutionOpen": False},
        "survey plan-audit build verify hand-over",
    ),
    Way(
        "coding-task",
        {"riskLevel": "Critical", "slices": SLICES, "solutionOpen": True},
        "survey design design-review plan-audit agree-plan build verify hand-over",
    ),
    Way("discovery", {}, "understand direct"),
    Way("discovery", {"rigorMode": "QUICK"}, "understand direct"),
    Way(
        "discovery",
        {**THOROUGH, "needsPrototype": False},
        "frame gather gather__synthesis understand candidates challenge direct",
    ),
    Way(
        "discovery",
        {**THOROUGH, "needsPrototype": True},
        "frame gather gather__synthesis understand candidates prototype challenge direct",
    ),
    Way("documentation-update", {"reach": "few"}, "survey revise verify hand-over"),
    Way(
        "documentation-update",
        {"reach": "broad"},
        "survey partition.take-stock partition.cut-batches update verify hand-over",
    ),
    Way("fix", {}, "mend hand-over"),
    Way("fix", {"findings": FINDINGS}, "each-finding together hand-over"),
    Way("gate-evaluation", {}, "weigh answer"),
    Way("look-back", {}, "look-back"),
    Way("performance-audit", {}, "frame baseline explain name-causes oppose report"),
    Way(
        "production-readiness-audit",
        {"auditReach": "slim"},
        "set-bar rehearse converge report",
    ),
    Way(
        "production-readiness-audit",
        {
            "auditReach": "whole",
            "auditFamilies": ["correctness", "runtime", "operations", "skeptic"],
        },
        "set-bar rehearse freeze-facts families attack-claim converge check-footing report",
    ),
    Way("quick-task", {"fits": True}, "size-up change hand-over"),
    Way("quick-task", {"fits": False}, "size-up hand-over"),
    Way("rebase", {}, "bring-over hand-over"),
    Way("refactoring", {"safetyNet": "tests"}, "aim pin plan.cut moves compare hand-over"),
    Way(
        "refactoring",
        {"safetyNet": "none"},
        "aim pin open-a-seam plan.cut moves compare hand-over",
    ),
    Way("research", {}, "intake plan collect synthesise attack settle report"),
    Way("retrospective", {"span": "single"}, "bound reconstruct learn digest"),
    Way(
        "retrospective",
        {"span": "stretch"},
        "bound gather reconstruct learn measures.open-up measures.develop digest",
    ),
    Way("review", {}, "examine judge"),
    Way("review", {"rigorMode": "QUICK"}, "examine judge"),
    Way("review", THOROUGH, "examine freeze-facts families converge check-footing judge"),
    Way(
        "security-audit",
        {"newSurface": False},
        "model-threats set-stage attack-surfaces chain prove check-proof report",
    ),
    Way("shaping", {}, "shape"),
    Way("shaping", {"upstreamSpec": "What was decided."}, "read-upstream shape"),
    Way("shaping", THOROUGH, "read-upstream bound-problem sketch probe probe__synthesis shape"),
    Way(
        "shaping",
        {"riskLevel": "Critical"},
        "read-upstream bound-problem sketch probe probe__synthesis agree-bounds shape",
    ),
    Way("standup", {}, "collect digest"),
    Way("test-coverage-audit", {"suiteState": "absent"}, "run-suite choose-areas report"),
    Way(
        "test-coverage-audit",
        {"suiteState": "passes"},
        "run-suite choose-areas break-areas converge weigh report",
    ),
    Way(
        "test-coverage-audit",
        {"suiteState": "fails"},
        "run-suite choose-areas break-areas converge weigh report",
    ),
    Way("triage-alert", {"harm": "none"}, "read-alert triage"),
    Way(
        "triage-alert",
        {"harm": "some", "mitigationWanted": False},
        "read-alert gather gather__synthesis mitigate triage",
    ),
    Way(
        "triage-alert",
        {"harm": "many", "mitigationWanted": True, "mitigation": "Switch the new mailer off."},
        "read-alert gather gather__synthesis mitigate agree-mitigation triage",
    ),
    Way("triage-issue", {"issueKind": "fault", "known": "no"}, "read compare try-it triage"),
    Way("triage-issue", {"issueKind": "fault", "known": "fixed"}, "read compare try-it triage"),
    Way("triage-issue", {"issueKind": "fault", "known": "duplicate"}, "read compare triage"),
    Way("triage-issue", {"issueKind": "wish", "known": "no"}, "read compare weigh-wish triage"),
    Way("triage-issue", {"issueKind": "chore", "known": "intended"}, "read compare triage"),
    Way(
        "triage-issue",
        {"issueKind": "question", "known": "no"},
        "read compare answer-question triage",
    ),
    Way(
        "ui-ux-design",
        {"fidelity": "sketch"},
        "frame-use look-around lay-out check-buildable deliver-design",
    ),
    Way(
        "ui-ux-design",
        {"fidelity": "full"},
        "frame-use look-around directions lay-out refine check-buildable deliver-design",
    ),
)
