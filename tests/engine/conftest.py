"""Builders for engine tests: real specs, real words, a session about to start."""

from functools import cache
from typing import Any

from worktrain.adapters.catalogue import Catalogue
from worktrain.contracts.session import (
    AskModel,
    Command,
    Event,
    Happened,
    SessionOpened,
    SessionRequest,
    SessionState,
    Started,
    TurnTaken,
)
from worktrain.contracts.spec import Compiled, OutputContract, Spec, Step, Words
from worktrain.contracts.task import Task
from worktrain.contracts.turn import Steer, StopReason, ToolCall, TurnReply, TurnRequest, Usage
from worktrain.contracts.workspace import Limits, ModelNames, SandboxRules
from worktrain.engine import contracts_check
from worktrain.engine.compile import compile_spec
from worktrain.engine.machine import advance

NOTES = "Read app/login.py and its tests, changed the comparison, ran all tests: 12 passed."


@cache
def words() -> Words:
    return Catalogue().words()


def step(name: str = "first-step", contract: str | None = None, *, notes: bool = True) -> Step:
    """A step; `contract` is an artifact kind."""
    ref = contract.replace("wr.", "wr.contracts.", 1) if contract else None
    return Step(
        id=name,
        title=f"The {name}",
        prompt=f"Do the {name}.",
        outputContract=OutputContract(contractRef=ref) if ref else None,
        notesOptional=not notes,
    )


def spec(*steps: Step, **changes: Any) -> Spec:
    named = {"id": "sample", "name": "Sample", "description": "A sample.", "version": "1.0.0"}
    return Spec(**{**named, **changes}, steps=steps or (step(),))


def compiled(*steps: Step) -> Compiled:
    return compile_spec(spec(*steps), words())


def request(limits: Limits | None = None, **changes: Any) -> SessionRequest:
    made = SessionRequest(
        session="task/w/t/coding-1",
        pipeline="task/w/t",
        phase="coding",
        spec="sample",
        repo="/repo",
        base="b" * 40,
        at="b" * 40,
        branch="worktrain/t",
        task=Task(source="typed", title="Login fails", body="With capitals."),
        sections=(),
        limits=limits or Limits(),
        models=ModelNames(),
        model=None,
        sandbox=SandboxRules(),
    )
    return made.model_copy(update=changes)


def state(*steps: Step, limits: Limits | None = None) -> SessionState:
    """A session that has not started yet."""
    opened = SessionOpened(plan=compiled(*steps).plan, script="s" * 64, context="c" * 64)
    return SessionState(request=request(limits), opened=opened)


def happened(event: Event, *steers: str, worked_s: float = 0.0) -> Happened:
    said = tuple(Steer(text=text, by="ada") for text in steers)
    return Happened(event=event, worked_s=worked_s, steers=said)


def go(before: SessionState, event: Event, *steers: str) -> tuple[SessionState, Command]:
    return advance(before, happened(event, *steers))


def started(*steps: Step, limits: Limits | None = None) -> SessionState:
    """A session whose first turn was asked for."""
    return go(state(*steps, limits=limits), Started())[0]


def call(name: str, call_id: str = "c1", /, **arguments: Any) -> ToolCall:
    return ToolCall(id=call_id, name=name, preview=name, input=arguments or None)


def done(call_id: str = "c1", *, notes: str = NOTES, artifacts: Any = ()) -> ToolCall:
    return call("complete_step", call_id, notes=notes, artifacts=list(artifacts))


def handed_over(kind: str, call_id: str = "c1", **changes: Any) -> ToolCall:
    return done(call_id, artifacts=[{**contracts_check.EXAMPLES[kind], **changes}])


def taken(
    *calls: ToolCall,
    stop: StopReason | None = None,
    usage: Usage | None = None,
    cost: int = 10,
    text: str = "Well.",
) -> TurnTaken:
    """A reply; without calls it ends its turn."""
    return TurnTaken(
        reply=TurnReply(
            head="a1",
            stop=stop or (StopReason.TOOL_USE if calls else StopReason.END_TURN),
            calls=calls,
            preview=text,
            usage=usage or Usage(input=10, output=5),
            cost_microdollars=cost,
            model="m",
        )
    )


def asked(command: Command) -> TurnRequest:
    assert isinstance(command, AskModel), command
    return command.request
