"""Builders for engine tests: real specs, real words, a session about to start."""

import json
from functools import cache
from typing import Any

import pytest

from worktrain.adapters.catalogue import Catalogue
from worktrain.contracts.artifact import Artifact
from worktrain.contracts.plan import Compiled, Words
from worktrain.contracts.proof import PhaseRecord
from worktrain.contracts.session import (
    AskModel,
    Command,
    Event,
    Happened,
    SessionClosed,
    SessionOpened,
    SessionRequest,
    SessionState,
    Started,
    TurnTaken,
)
from worktrain.contracts.spec import OutputContract, Spec, Step
from worktrain.contracts.task import Task
from worktrain.contracts.turn import (
    Reported,
    Steer,
    StopReason,
    ToolCall,
    TurnReply,
    TurnRequest,
    Usage,
)
from worktrain.contracts.workspace import Limits, ModelNames, SandboxRules
from worktrain.engine.compile import Around, Uncompilable, compile_spec
from worktrain.engine.contracts_check.artifact_examples import EXAMPLES
from worktrain.engine.fault import Fault, shown
from worktrain.engine.machine import advance
from worktrain.engine.parse import read_spec

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


def authored(*steps: dict[str, Any], **changes: Any) -> Spec:
    """A spec as it would be written: read from JSON. Steps without a text get one."""
    named = {"id": "sample", "name": "Sample", "description": "A sample.", "version": "1.0.0"}
    made = [_with_text(one) for one in steps]
    return read_spec(json.dumps({**named, **changes, "steps": made}), "sample.json")[0]


def _with_text(step: dict[str, Any]) -> dict[str, Any]:
    made = {"title": f"The {step['id']}", **step}
    if step.get("type") == "loop":
        body = made["body"]
        return made | {"body": body if isinstance(body, str) else [_with_text(s) for s in body]}
    has_text = step.get("type") == "parallel" or {"promptBlocks", "templateCall"} & set(step)
    return made if has_text else {"prompt": f"Do the {step['id']}.", **made}


def faults_of(made: Spec, around: Around | None = None) -> list[Fault]:
    """What keeps a spec from being compiled."""
    with pytest.raises(Uncompilable) as refused:
        compile_spec(made, words(), around or Around())
    assert str(refused.value) == "\n".join(f"{made.id}: {one}" for one in refused.value.faults)
    return list(refused.value.faults)


def told(made: Spec, around: Around | None = None) -> list[str]:
    """Rule and place of each fault."""
    return [f"{one.rule} {shown(one.path)}" for one in faults_of(made, around)]


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
    return done(call_id, artifacts=[{**EXAMPLES[kind], **changes}])


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


def reported(session: str = "t/child-1", ending: str = "completed", why: str = "Done.") -> Reported:
    return Reported(name="finder", session=session, ending=ending, why=why)


def closed(
    session: str = "t/child-1",
    notes: tuple[str, ...] = (),
    artifacts: tuple[Artifact, ...] = (),
    given: dict[str, Any] | None = None,
) -> SessionClosed:
    record = PhaseRecord(
        phase="coding",
        session=session,
        spec="sample",
        script="s" * 64,
        ending="completed",
        turns=1,
        usage=Usage(),
        cost_microdollars=0,
        model="m",
    )
    return SessionClosed(
        session=session,
        pipeline="t",
        record=record,
        artifacts=artifacts,
        notes=notes,
        why="Done.",
        given=given or {},
    )
