"""Sessions that a session has run for it: what they are given, what becomes of their results."""

from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from worktrain.contracts.artifact import Artifact
from worktrain.contracts.base import JsonObject
from worktrain.contracts.plan import Delegation, Parallel, PlanStep
from worktrain.contracts.session import (
    Child,
    ChildEnded,
    Section,
    SessionEnding,
    SessionRequest,
    SessionState,
)
from worktrain.contracts.task import Task
from worktrain.contracts.tool import Agent, SpawnAgent
from worktrain.contracts.trace import TraceKind
from worktrain.contracts.turn import Reported
from worktrain.contracts.workspace import Limits
from worktrain.engine import conditions, context_check, templates
from worktrain.engine.converse import shortened
from worktrain.engine.machine import checkpoint
from worktrain.engine.machine.tracing import changed, noted

EVALUATOR = "gate-evaluation"
"""The spec of a session that judges a gate."""
TITLE_MAX = 200
EVIDENCE_MAX = 4_000
"""Characters of each part of a gated step that its judge is shown."""


class TooMany(Exception):
    """More sessions than a session may have run; the text says which bound it was."""


def delegated(
    state: SessionState, step: PlanStep, scope: Mapping[str, Any]
) -> tuple[SessionState, tuple[Child, ...]]:
    """The sessions that a parallel step asks for, in order; what was left out is noted.

    Raises `TooMany`, and ValueError when it should run for each item of what is no list.
    """
    parallel = step.parallel
    assert parallel is not None
    wanted: list[tuple[Delegation, Mapping[str, Any]]] = []
    for one, place in _in_order(parallel, scope):
        if _is_wanted(one, place):
            wanted.append((one, place))
        elif one.when is not None:
            why = conditions.explained(one.when, place)
            said = f"{one.name} was not asked for: {why}"
            state = noted(state, TraceKind.SKIPPED, said, step.id)
    _check_bounds(state, len(wanted))
    names = _numbered([one.name for one, _ in wanted])
    children = tuple(
        _child(
            state,
            number,
            len(wanted),
            name=name,
            spec=one.spec,
            goal=_filled(one.goal, place),
            context={
                **{key: conditions.look_up(path, place) for key, path in one.context.items()
                   if conditions.look_up(path, place) is not conditions.MISSING},
                **{key: _filled_value(value, place) for key, value in one.args.items()},
            },
            tier=one.model_tier,
            tools=one.tools,
        )
        for number, (name, (one, place)) in enumerate(zip(names, wanted, strict=True), 1)
    )  # fmt: skip
    state = changed(state, spawned=state.spawned + len(children))
    for child in children:
        said = f"{child.name} follows {child.request.spec}: {child.request.task.title}"
        state = noted(state, TraceKind.DELEGATED, said, step.id)
    return state, children


def spawned(state: SessionState, wanted: SpawnAgent) -> tuple[SessionState, tuple[Child, ...]]:
    """The sessions that a spawn_agent call asks for. Raises `TooMany`, and ValueError."""
    agents = wanted.agents
    if not agents:
        if not wanted.workflowId or not wanted.goal:
            raise ValueError("spawn_agent needs `workflowId` and `goal`, or a list of `agents`")
        agents = (
            Agent(
                workflowId=wanted.workflowId,
                goal=wanted.goal,
                context=wanted.context,
                agentConfig=wanted.agentConfig,
                allowedTools=wanted.allowedTools,
            ),
        )
    for one in agents:
        if wrong := context_check.blockers_of(one.context, one.context, state.request.limits):
            raise ValueError(f"{wrong[0].message} {wrong[0].fix}")
    _check_bounds(state, len(agents))
    children = tuple(
        _child(
            state,
            number,
            len(agents),
            name="agent",
            spec=one.workflowId,
            goal=one.goal,
            context=one.context,
            tier=one.agentConfig.modelTier,
            tools=one.allowedTools,
        )
        for number, one in enumerate(agents, 1)
    )
    state = changed(state, spawned=state.spawned + len(children))
    for child in children:
        said = f"the agent asked for {child.request.spec}: {child.request.task.title}"
        state = noted(state, TraceKind.DELEGATED, said)
    return state, children


def evaluator(state: SessionState, step: PlanStep) -> tuple[SessionState, Child]:
    """The session that judges the claim that waits at a gate. Raises `TooMany`."""
    claim = state.claim
    assert claim is not None
    _check_bounds(state, 1)
    artifacts = "\n".join(one.model_dump_json(exclude_defaults=True) for one in claim.artifacts)
    child = _child(
        state,
        1,
        1,
        name="gate",
        spec=EVALUATOR,
        goal=f"Judge whether the step {step.title!r} may count as done",
        context={
            "gateStep": step.id,
            "gateTitle": step.title,
            "gateNotes": claim.notes[:EVIDENCE_MAX],
            "gateArtifacts": artifacts[:EVIDENCE_MAX],
            "gateReason": f"the spec {state.opened.plan.spec} demands it",
        },
        tier=None,
        tools=(),
    )
    return changed(state, spawned=state.spawned + 1), child


def collected(
    state: SessionState, step: PlanStep, children: Sequence[ChildEnded], scope: Mapping[str, Any]
) -> SessionState:
    """The state with what the sessions of a parallel step brought, in the context."""
    parallel = step.parallel
    assert parallel is not None
    # By their order: with an item each, the number behind a name can make it another one's.
    wanted = [one for one, place in _in_order(parallel, scope) if _is_wanted(one, place)]
    results: list[JsonObject] = []
    variables: JsonObject = {}
    for child, delegation in zip(children, wanted, strict=True):
        artifact = child.result.artifacts[-1] if child.result.artifacts else None
        result = {
            "name": child.name,
            "session": child.result.record.session,
            "ending": str(child.result.ending),
            "why": child.result.why,
            "given": child.result.given,
            "artifact": artifact.model_dump(mode="json", exclude_defaults=True) if artifact else {},
        }
        results.append(result)
        for variable, path in delegation.gives.items():
            value = conditions.look_up(path, result)
            if value is not conditions.MISSING:
                variables[variable] = value
    state = changed(state, skipped="")
    return checkpoint.given(state, {**variables, parallel.results: results})


def ended(state: SessionState, children: Sequence[ChildEnded]) -> SessionState:
    """The state with what the sessions cost, and how each ended noted."""
    for child in children:
        record = child.result.record
        state = changed(
            state,
            usage=state.usage + record.usage,
            cost_microdollars=state.cost_microdollars + record.cost_microdollars,
        )
        said = f"{child.name} ended {child.result.ending}: {child.result.why}"
        state = noted(state, TraceKind.CHILD_ENDED, said)
    return state


def reports(children: Sequence[ChildEnded]) -> tuple[Reported, ...]:
    """How the sessions ended, for whoever had them run; their outputs are in the store."""
    return tuple(
        Reported(
            name=child.name,
            session=child.result.record.session,
            ending=str(child.result.ending),
            why=shortened(child.result.why, 300),
        )
        for child in children
    )


def failed(children: Sequence[ChildEnded]) -> ChildEnded | None:
    """The first session that did not complete."""
    return next((c for c in children if c.result.ending is not SessionEnding.COMPLETED), None)


def verdict_of(artifacts: Sequence[Artifact]) -> Any:
    """The newest gate verdict among artifacts, if there is one."""
    return next((one for one in reversed(artifacts) if one.kind == "wr.gate_verdict"), None)


def _in_order(
    parallel: Parallel, scope: Mapping[str, Any]
) -> Iterator[tuple[Delegation, Mapping[str, Any]]]:
    """Every delegation with the scope that it is run in, as often as there are items."""
    return ((one, place) for place in _places(parallel, scope) for one in parallel.delegations)


def _is_wanted(delegation: Delegation, place: Mapping[str, Any]) -> bool:
    return delegation.when is None or conditions.holds(delegation.when, place)


def _places(parallel: Parallel, scope: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The scope of each round of a parallel step: one, or one for each item."""
    if parallel.items is None:
        yield scope
        return
    items = conditions.look_up(parallel.items, scope)
    if not isinstance(items, list | tuple):
        kind = "missing" if items is conditions.MISSING else f"a {type(items).__name__}"
        raise ValueError(f"it runs for each item of {parallel.items!r}, which is {kind}, no list")
    for index, item in enumerate(items):
        yield ChainMap({parallel.item_var: item, parallel.index_var: index}, dict(scope))


def _check_bounds(state: SessionState, more: int) -> None:
    limits = state.request.limits
    if more and state.request.depth >= limits.depth_max:
        raise TooMany(
            f"sessions may stand {limits.depth_max} deep below one another, and this one is there"
        )
    if state.spawned + more > limits.children_max:
        raise TooMany(
            f"{more} more sessions would be {state.spawned + more}; "
            f"at most {limits.children_max} may be run for one"
        )


def _numbered(names: Sequence[str]) -> list[str]:
    """Names that differ: as soon as one stands there several times, each gets its number."""
    if len(set(names)) == len(names):
        return list(names)
    # All of them: else the second `a` would be called like a delegation named `a-2`.
    seen: dict[str, int] = {}
    numbered = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        numbered.append(f"{name}-{seen[name]}")
    return numbered


def _child(
    state: SessionState,
    number: int,
    of: int,
    *,
    name: str,
    spec: str,
    goal: str,
    context: JsonObject,
    tier: Any,
    tools: tuple[str, ...],
) -> Child:
    request = state.request
    allowed = request.tools
    if tools:
        # Tools that the parent has not got cannot be handed on; none left means only the engine's.
        shared = tuple(one for one in tools if not request.tools or one in request.tools)
        allowed = shared or ("complete_step",)
    # Named by a count over the whole session, so that no two are ever the same.
    label = f"{name}-{state.spawned + number}"
    title = shortened(goal, TITLE_MAX)
    return Child(
        name=name if of == 1 or name != "agent" else f"agent-{number}",
        request=SessionRequest(
            session=f"{request.session}/{label}",
            pipeline=request.pipeline,
            phase=request.phase,
            spec=spec,
            repo=request.repo,
            base=request.base,
            at=request.at,
            branch=None,
            task=Task(source=f"delegated by {request.session}", title=title, body=goal),
            sections=(
                Section(
                    title="The task that this is a part of",
                    body=f"{request.task.title}\n\n{request.task.body[:EVIDENCE_MAX]}".strip(),
                ),
            ),
            limits=_share(state, of),
            models=request.models,
            model=request.model,
            sandbox=request.sandbox,
            soul=request.soul,
            context=context,
            tools=allowed,
            tier=tier,
            depth=request.depth + 1,
            gates=request.gates,
        ),
    )


def _share(state: SessionState, of: int) -> Limits:
    """What is left of tokens and money, in equal parts: children cannot spend it twice."""
    limits = state.request.limits
    cost_usd = limits.cost_usd_max - state.cost_microdollars / 1e6
    tokens = limits.tokens_max - state.usage.total
    return limits.model_copy(
        update={
            "cost_usd_max": max(0.000001, cost_usd / of),
            "tokens_max": max(1, tokens // of),
        }
    )


def _filled(text: str, scope: Mapping[str, Any]) -> str:
    return templates.filled(
        text, {path: templates.shown(path, scope) for path in templates.reads(text)}
    )


def _filled_value(value: Any, scope: Mapping[str, Any]) -> Any:
    return _filled(value, scope) if isinstance(value, str) else value
