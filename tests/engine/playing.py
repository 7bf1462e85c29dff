"""An obedient agent: plays any compiled spec through the machine and writes down the way."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.engine.conftest import NOTES, happened, request
from worktrain.contracts.base import JsonObject
from worktrain.contracts.plan import Plan, PlanStep
from worktrain.contracts.proof import PhaseRecord
from worktrain.contracts.session import (
    Answered,
    AskModel,
    AskOperator,
    Child,
    ChildEnded,
    ChildrenEnded,
    Command,
    Confirm,
    Confirmed,
    Event,
    Finish,
    Gather,
    Gathered,
    Killed,
    Question,
    RunChildren,
    RunTools,
    SessionEnding,
    SessionOpened,
    SessionResult,
    SessionState,
    Started,
    ToolsRan,
    TurnTaken,
)
from worktrain.contracts.trace import Trace
from worktrain.contracts.turn import (
    Delegated,
    StepAccepted,
    StepBlocked,
    StepPrompt,
    StopReason,
    ToolCall,
    ToolReply,
    TurnReply,
    Usage,
)
from worktrain.contracts.workspace import Limits
from worktrain.engine import contracts_check, schemas
from worktrain.engine.contracts_check.artifact_examples import EXAMPLES
from worktrain.engine.machine import advance, current

TURNS_MAX = 5_000
QUESTIONS_MAX = 60
"""Questions that an operator answers in one session."""
Claim = dict[str, Any]
Says = Callable[[SessionState], Claim] | list[Claim] | Claim
"""What the agent claims at a step: always the same, one after the other, or as it depends."""


@dataclass
class Play:
    """One session. `says` has what the agent claims by step id, laid over what the plan asks for;
    `children` the result of a child by its name."""

    plan: Plan
    says: Mapping[str, Says] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    children: Callable[[Child], Mapping[str, Any]] = lambda child: {}
    answers: Mapping[str, str] = field(default_factory=dict)
    gathered: Mapping[str, str] = field(default_factory=dict)
    gates: list[str] = field(default_factory=list)
    instead: Mapping[str, Event] = field(default_factory=dict)
    """What happens instead of the agent's first turn at a step, by what `way` calls it."""
    then: list[Event] = field(default_factory=list)
    """What happens after it has ended, one after the other."""
    limits: Limits = field(default_factory=lambda: Limits(turns_max=2000, children_max=200))
    changes: Mapping[str, Any] = field(default_factory=dict)
    way: list[str] = field(default_factory=list)
    """Steps as they were said: `id`, in a loop `id@pass`; children as `+name`."""
    prompts: list[StepPrompt] = field(default_factory=list)
    refusals: list[StepBlocked] = field(default_factory=list)
    trace: list[Trace] = field(default_factory=list)
    asked: list[Question] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    claims: dict[str, int] = field(default_factory=dict)
    state: SessionState | None = None

    def begin(self) -> SessionState:
        opened = SessionOpened(plan=self.plan, script="s" * 64, context="c" * 64)
        made = request(self.limits, context=dict(self.context), **self.changes)
        return SessionState(request=made, opened=opened)

    def run(self) -> Finish:
        """Play to the end; how it ended."""
        self.state = self.begin()
        event: Event = Started()
        for _ in range(TURNS_MAX):
            self.state, command = advance(self.state, happened(event))
            self.commands.append(command)
            if not isinstance(command, Finish):
                event = self.answer(command)
            elif self.then:
                event = self.then.pop(0)
            else:
                self.trace += self.state.trace
                return command
        raise AssertionError(f"no end after {TURNS_MAX} turns: {self.way[-10:]}")

    def answer(self, command: Command) -> Event:
        """What comes of a command, for an agent and an operator who do what is asked."""
        assert self.state is not None
        match command:
            case AskModel(request=turn):
                self.trace += turn.trace
                for one in turn.say:
                    self._hear(one)
                happens = self.instead.get(self.way[-1]) if self.way else None
                if happens is not None and self.way.count(self.way[-1]) == 1:
                    return happens
                return self._turn(turn.turn)
            case RunTools(groups=groups):
                done = [ToolReply(call=c.id, ok=True, preview="ok") for g in groups for c in g]
                return ToolsRan(replies=tuple(done))
            case AskOperator(question=question):
                self.asked.append(question)
                if len(self.asked) > QUESTIONS_MAX:
                    return Killed(why="the operator gave up")
                text = self.answers.get(question.variable) or self._answer(question)
                return Answered(question=question.id, text=text, by="ada")
            case Confirm():
                said = self.gates.pop(0) if self.gates else "approved"
                return Confirmed(
                    answer="approved" if said == "approved" else "rejected", by="ada", reason=said
                )
            case Gather(request=wanted):
                names = [source.variable for source in wanted.sources]
                found = {name: self.gathered[name] for name in names if name in self.gathered}
                return Gathered(values=found, said=("looked",))
            case RunChildren(children=children):
                self.way += [f"+{child.name}" for child in children]
                return ChildrenEnded(children=tuple(self._child(child) for child in children))
            case Finish():
                raise AssertionError("an ending has no answer")

    def ran(self, kind: str) -> list[str]:
        """The sentences of the trace of one kind."""
        return [entry.text for entry in self.trace if entry.kind == kind]

    def _answer(self, question: Question) -> str:
        assert self.state is not None
        needs = {**self.plan.needs, **current(self.state).needs}
        if question.options:
            return question.options[0]
        if question.type == "boolean":
            return "yes"
        value: Any = "something"
        if question.variable in needs:
            value = schemas.example_of(needs[question.variable])
        if question.type == "number" and not isinstance(value, int | float):
            return "3"
        return value if isinstance(value, str) else json.dumps(value)

    def _hear(self, one: object) -> None:
        prompt = one.prompt if isinstance(one, StepAccepted) else one
        if isinstance(prompt, StepPrompt):
            self.prompts.append(prompt)
            number = f"@{prompt.in_pass.number}" if prompt.in_pass else ""
            self.way.append(f"{prompt.step}{number}")
        if isinstance(one, StepBlocked):
            self.refusals.append(one)
        if isinstance(one, Delegated):
            self.way.append("=")

    def _turn(self, number: int) -> TurnTaken:
        assert self.state is not None
        step = current(self.state)
        claim = {**fulfilling(step, self.plan.contracts), **self._said(step)}
        calls = claim.pop("calls", None) or [("complete_step", claim)]
        return TurnTaken(
            reply=TurnReply(
                head=f"a{number}",
                stop=StopReason.TOOL_USE,
                calls=tuple(
                    ToolCall(id=f"c{number}.{index}", name=name, preview=name, input=given)
                    for index, (name, given) in enumerate(calls)
                ),
                usage=Usage(input=10, output=5),
                cost_microdollars=10,
                model="m",
            )
        )

    def _said(self, step: PlanStep) -> Claim:
        said = self.says.get(step.id, {})
        assert self.state is not None
        if isinstance(said, list):
            number = self.claims.get(step.id, 0)
            self.claims[step.id] = number + 1
            return said[min(number, len(said) - 1)]
        return said if isinstance(said, dict) else said(self.state)

    def _child(self, child: Child) -> ChildEnded:
        wanted = {"ending": SessionEnding.COMPLETED, "why": "done", **self.children(child)}
        if child.request.spec == "gate-evaluation" and "artifacts" not in wanted:
            wanted["artifacts"] = (EXAMPLES["wr.gate_verdict"],)
        record = PhaseRecord(
            phase="child",
            session=child.request.session,
            spec=child.request.spec,
            script="",
            ending=wanted["ending"],
            turns=1,
            usage=Usage(input=3, output=1),
            cost_microdollars=5,
            model="m",
        )
        result = SessionResult.model_validate({"record": record, **wanted})
        return ChildEnded(name=child.name, result=result)


def fulfilling(step: PlanStep, own: Mapping[str, JsonObject] = {}) -> Claim:
    """A claim with everything that a step asks for: examples, first levels that bring nothing
    about, first values. `own` has the schemas of the project's artifact kinds."""
    artifacts = [contracts_check.contract(step.contract, own).example] if step.contract else []
    artifacts += [artifact for artifact in _assessments(step) if step.contract != "wr.assessment"]
    return {
        "notes": NOTES,
        "artifacts": artifacts,
        "context": {name: schemas.example_of(schema) for name, schema in step.gives.items()},
        "todo": [{"item": n, "done": True} for n in range(1, len(step.todo) + 1)],
    }


def _assessments(step: PlanStep) -> Iterator[Claim]:
    fires = {one.level.lower() for one in step.consequences}
    for assessment in step.assessments:
        yield {
            "kind": "wr.assessment",
            "assessmentId": assessment.id,
            "dimensions": {
                dimension.id: next(
                    (one for one in dimension.levels if one.lower() not in fires),
                    dimension.levels[-1],
                )
                for dimension in assessment.dimensions
            },
        }
