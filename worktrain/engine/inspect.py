"""Finds before a run what cannot work in a spec that compiles, or was probably not meant."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel

from worktrain.contracts.base import JsonObject
from worktrain.contracts.plan import Ask, Delegation, Plan, PlanStep
from worktrain.contracts.spec import AnyStep, LoopStep, ParallelStep, Spec, VariableSource
from worktrain.engine import conditions, context_check, templates
from worktrain.engine.fault import Fault, Path, nearest
from worktrain.engine.picture import in_words
from worktrain.engine.simulate import Choices, Layout, Place, given_by, loop_variables, simulate


def faults(spec: Spec, plan: Plan) -> tuple[Fault, ...]:
    """What is wrong with a spec, in the order of the document; `plan` is what it compiled to.

    A file in WorkRail's own words declares no variables and runs as it is, so nearly all that is
    found in one is a warning. A variable that the text of an earlier step mentions counts as
    given: such files let an agent set any variable.
    """
    look = _Look(spec, plan)
    found = dict.fromkeys(fault for check in _CHECKS for fault in check(look))
    return tuple(sorted(found, key=lambda fault: [_sortable(part) for part in fault.path]))


def _sortable(part: str | int) -> tuple[int, str]:
    return (part, "") if isinstance(part, int) else (-1, part)


OURS = (
    *("goal", "is_autonomous", "assembledContextSummary", "prBranch", "pitchPath", "prUrl"),
    *("findings", "severity", "shapingComplete", "auditComplete", "taskCandidate"),
    *("triggerSource", "assessments", "metrics_commit_shas", "metrics_outcome"),
    *("metrics_pr_numbers", "metrics_files_changed", "metrics_lines_added"),
    "metrics_lines_removed",
)
"""Variables that the system itself gives. Source: WorkRail's documentation, section 1.9."""


Level = Literal["error", "warning"]


class _Read(NamedTuple):
    """A variable that a step reads."""

    path: str
    at: Path
    what: str
    ready: bool = True
    """After its questions and what it gathers; else before it is begun at all."""
    done: bool = False
    """After what it gives."""
    more: tuple[str, ...] = ()
    """Variables that exist only there."""
    declared: bool = False
    asked_for: bool = False
    """It is only tested whether it is there, or read where that was tested."""


class _Look:
    """A spec and its plan, with what every check needs to know of them."""

    def __init__(self, spec: Spec, plan: Plan) -> None:
        self.spec = spec
        self.plan = plan
        self.layout = Layout(plan)
        self.choices = Choices(plan)
        self.places = self.layout.places
        self._written = _written(spec)
        declared = [plan.needs, plan.gives]
        declared += [one for place in self.places for one in (place.step.needs, place.step.gives)]
        self.grave: Level = "error" if any(declared) else "warning"
        """The level of what does no harm in a file in WorkRail's own words."""
        self.reads = [tuple(_reads(self, place)) for place in self.places]
        self.read = {_root(one.path) for reads in self.reads for one in reads} | {*plan.gives}
        self.given = [frozenset(given_by(place.step)) for place in self.places]
        names = self.read.union(*self.given)
        self.mentioned = [self._mentions(place) & names for place in self.places]
        self.unread_text = [self._authored(place) is None for place in self.places]
        """Steps of a routine, whose texts are not in the spec: they may give anything."""
        self.first = frozenset({*plan.needs, *OURS})
        """What is there before the first step."""
        self.loose = [
            given | mentioned | ({_ANYTHING} if unread else frozenset())
            for given, mentioned, unread in zip(
                self.given, self.mentioned, self.unread_text, strict=True
            )
        ]
        """What each place gives, or an agent may give there though nothing declares it."""
        opening = (*spec.metaGuidance, *spec.preconditions, *spec.clarificationPrompts)
        told = _names((*opening, spec.functionDefinitions))
        # Whoever runs the session may have given at its start what a step would gather.
        gathered = [source.variable for place in self.places for source in place.step.gathers]
        self._opening = self.first.union(gathered, told & names)
        self.declared_before = self._flow(self.first, self.given)
        self.loose_before = self._flow(self._opening, self.loose)

    def at(self, place: Place, *more: str | int) -> Path:
        """The place in the document, without `more` where the step was not written there."""
        step_id = place.step.id
        if step_id in self._written:
            return (*self._written[step_id][0], *more)
        for suffix in _VIRTUAL:
            base = step_id.removesuffix(f"__{suffix}")
            if base != step_id and base in self._written:
                return (*self._written[base][0], suffix)
        caller = self._written.get(step_id.partition(".")[0])
        return (*caller[0], "templateCall") if caller else ("steps",)

    def body(self, loop: Place) -> tuple[Place, ...]:
        return self.places[loop.at + 1 : loop.behind]

    def leads(self, start: int) -> frozenset[int]:
        """The places that may come after one, by any way."""
        seen: set[int] = set()
        waiting = [start]
        while waiting:
            new = [at for at in self.layout.following(self.places[waiting.pop()]) if at not in seen]
            seen.update(new)
            waiting.extend(new)
        return frozenset(seen)

    def entry(self, loop: Place) -> frozenset[str]:
        """What may be given when a loop is entered for the first time."""
        ways = [
            self.loose_before[place.at] | self.loose[place.at]
            for place in self.places
            if place.loop != loop.at and loop.at in self.layout.following(place)
        ]
        return (self._opening if loop.at == 0 else frozenset()).union(*ways)

    def _authored(self, place: Place) -> AnyStep | None:
        base = place.step.id.partition("__")[0]
        found = self._written.get(place.step.id) or self._written.get(base)
        return found[1] if found else None

    def _mentions(self, place: Place) -> frozenset[str]:
        step = self._authored(place)
        if isinstance(step, ParallelStep):
            # The goals of its sessions are told to others.
            return _names(step.synthesis if place.step.synthesis_of else step.title)
        return _names(step)

    def _flow(self, first: frozenset[str], given: Sequence[frozenset[str]]) -> list[frozenset[str]]:
        """What may have been given when each place is reached."""
        before = [first] * len(self.places)
        changing = True
        while changing:
            changing = False
            for place in self.places:
                behind = before[place.at] | given[place.at]
                for to in self.layout.following(place):
                    if not behind <= before[to]:
                        before[to] |= behind
                        changing = True
        return before


_ANYTHING = "*"
_VIRTUAL = ("synthesis", "verification", "audit")
_SILENT = (
    *("id", "runCondition", "requireConfirmation", "condition", "when", "jumpIf", "needs"),
    *("loop", "body", "outputContract", "parallelDelegations", "contextMapping"),
)
"""Fields in which a variable's name is no instruction to set it."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACEHOLDER = re.compile(r"\{\{.*?\}\}", re.DOTALL)


def _names(authored: Any) -> frozenset[str]:
    """Every word of the texts that could be a variable's name; what is only shown left out."""
    if isinstance(authored, str):
        return frozenset(_NAME.findall(_PLACEHOLDER.sub(" ", authored)))
    if isinstance(authored, BaseModel):
        fields = type(authored).model_fields
        parts = [getattr(authored, name) for name in fields if name not in _SILENT]
    elif isinstance(authored, dict):
        parts = [*authored, *authored.values()]
    elif isinstance(authored, tuple | list):
        parts = list(authored)
    else:
        return frozenset()
    return frozenset().union(*map(_names, parts))


def _written(spec: Spec) -> dict[str, tuple[Path, AnyStep]]:
    """Where each step stands in the document, by its id."""
    found: dict[str, tuple[Path, AnyStep]] = {}
    for index, step in enumerate(spec.steps):
        found[step.id] = (("steps", index), step)
        if isinstance(step, LoopStep) and not isinstance(step.body, str):
            for inner_index, inner in enumerate(step.body):
                found[inner.id] = (("steps", index, "body", inner_index), inner)
    return found


# --- what is read --------------------------------------------------------------------------

_GATE = "its gate"


def _reads(look: _Look, place: Place) -> Iterator[_Read]:
    """Every variable that a step reads, with where it was written."""
    step, at = place.step, look.at
    around = look.places[place.loop].step.loop if place.loop is not None else None
    own = loop_variables(around) if around else ()

    def tested(condition: JsonObject | None, what: str, *where: str | int, **when: Any) -> Any:
        paths = conditions.variables(condition) if condition else ()
        more = (*own, *when.pop("more", ()))
        return [
            _Read(
                path,
                at(place, *where),
                what,
                more=more,
                asked_for=path not in _compared(condition or {}),
                **when,
            )
            for path in paths
        ]

    guarded = {_root(path) for path in conditions.variables(step.when or {})}

    yield from tested(step.when, "its runCondition", "runCondition", ready=False)
    for index, ask in enumerate(step.asks):
        yield from tested(ask.when, f"question {ask.variable!r}", "questions", index, "when")
    for name in step.needs:
        where = at(place, "needs", name)
        yield _Read(name, where, "`needs`", more=own, declared=True)
    for path in step.reads if step.parallel is None else ():
        there = _root(path) in guarded
        yield _Read(path, at(place), "its text", more=own, asked_for=there)
    for index, fragment in enumerate(step.fragments):
        what, where = f"fragment {fragment.id!r}", ("promptFragments", index)
        yield from tested(fragment.when, what, *where, "when")
        tests = guarded | {_root(path) for path in conditions.variables(fragment.when or {})}
        for path in fragment.reads:
            there = _root(path) in tests
            yield _Read(path, at(place, *where, "text"), what, more=own, asked_for=there)
    if step.confirm is not None:
        key = "requireConfirmation"
        yield from tested(step.confirm.when, _GATE, key, done=True)
    for index, jump in enumerate(step.jumps):
        what = f"its jump to {jump.to!r}"
        yield from tested(jump.when, what, "jumpIf", index, "condition", done=True)
    if step.loop is not None:
        loop = step.loop
        where = _loop_condition_at(look, place)
        inside = loop_variables(loop)
        yield from tested(loop.when, "its loop's condition", *where, more=inside)
        yield from tested(loop.exit_when, "its exitWhen", "loop", "exitWhen", more=inside)
        if loop.items:
            yield _Read(loop.items, at(place, "loop", "items"), "its list")
        if isinstance(loop.count, str):
            yield _Read(loop.count, at(place, "loop", "count"), "its count")
    if step.parallel is not None:
        parallel = step.parallel
        each = (parallel.item_var, parallel.index_var) if parallel.items else ()
        if parallel.items:
            yield _Read(parallel.items, at(place, "forEach", "items"), "its list", more=own)
        for index, one in enumerate(parallel.delegations):
            what, child = f"delegation {one.name!r}", ("parallelDelegations", index)
            yield from tested(one.when, what, *child, "runCondition", more=each)
            for path in dict.fromkeys(_sent(one)):
                yield _Read(path, at(place, *child), what, more=(*own, *each))


def _compared(condition: JsonObject) -> frozenset[str]:
    """The paths whose value is compared with another, not only tested for being there."""
    if "var" in condition:
        return frozenset({condition["var"]} if len(condition) > 1 else ())
    parts = [*condition.get("and", ()), *condition.get("or", ())]
    parts += [condition["not"]] if "not" in condition else []
    return frozenset().union(*map(_compared, parts))


def _sent(delegation: Delegation) -> Iterator[str]:
    yield from delegation.context.values()
    yield from templates.reads(delegation.goal)
    waiting: list[Any] = [delegation.args]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield from templates.reads(one)
        elif isinstance(one, dict | list | tuple):
            waiting.extend(one.values() if isinstance(one, dict) else one)


def _loop_condition_at(look: _Look, place: Place) -> tuple[str, ...]:
    step = look._authored(place)
    if isinstance(step, LoopStep) and isinstance(step.loop.conditionSource, VariableSource):
        return ("loop", "conditionSource", "condition")
    return ("loop", "condition")


def _fault(at: Path, rule: str, message: str, level: Level = "warning") -> Fault:
    return Fault(path=at, rule=rule, message=message, level=level)


def _root(path: str) -> str:
    return path.partition(".")[0]


def _near(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.8)
    return f"; did you mean {near[0]!r}?" if near else ""


def _unset(look: _Look) -> Iterator[Fault]:
    """Variables that are read before anything gives them, and gates that read them too early.

    One that nothing declares is told where it is first read.
    """
    told: set[str] = set()
    for place in look.places:
        for read in look.reads[place.at]:
            root = _root(read.path)
            if root in read.more:
                continue
            loose = _given(look, place, read, loose=True)
            if not {root, _ANYTHING}.isdisjoint(loose):
                if not read.declared or root in _given(look, place, read, loose=False):
                    continue
                yield _needed(look, place, read, "no step before it declares that in `gives`")
                continue
            later = _later(look, place, root)
            if read.declared:
                yield _needed(look, place, read, "")
            elif read.what == _GATE and later:
                said = (
                    f"the gate of step {place.step.id!r} reads {read.path!r}, which is given only "
                    f"later, by {later!r}; give it in this step or before it"
                )
                yield _fault(read.at, "late-gate", said, look.grave)
            elif root not in told and (not read.asked_for or _meant(look, root)):
                told.add(root)
                yield _unset_fault(look, place, read, later)


def _given(look: _Look, place: Place, read: _Read, *, loose: bool) -> frozenset[str]:
    """What may be given when a variable is read."""
    before = (look.loose_before if loose else look.declared_before)[place.at]
    if read.done:
        return before | (look.loose if loose else look.given)[place.at]
    if not read.ready:
        return before
    asked = frozenset(ask.variable for ask in place.step.asks)
    return before | asked | {source.variable for source in place.step.gathers}


def _later(look: _Look, place: Place, root: str) -> str:
    """The step that gives a variable too late, if one does."""
    behind = (one for one in look.places if one.at > place.at and root in look.loose[one.at])
    anywhere = (one for one in look.places if one.at != place.at and root in look.given[one.at])
    found = next(behind, None) or next(anywhere, None)
    return found.step.id if found else ""


def _needed(look: _Look, place: Place, read: _Read, hinted: str) -> Fault:
    said = (
        f"step {place.step.id!r} needs {read.path!r}, and {hinted or 'nothing before gives it'}; "
        f"declare it in the `gives` of the step that sets it or in the spec's `needs`"
    )
    level: Level = "warning" if hinted else "error"
    return _fault(read.at, "unset-variable", said + _meant(look, read.path), level)


def _unset_fault(look: _Look, place: Place, read: _Read, later: str) -> Fault:
    root = _root(read.path)
    others = {at for at, reads in enumerate(look.reads) for one in reads if _root(one.path) == root}
    more = f", as do {len(others) - 1} more" if len(others) > 1 else ""
    why = f"only {later!r} behind it does" if later else "nothing does"
    said = (
        f"step {place.step.id!r}: {read.what} reads {read.path!r} before anything gives it{more}: "
        f"{why}; declare it in the `gives` of the step that sets it or in the spec's `needs`, with "
        f"a `default` there if it is only sometimes injected"
    )
    return _fault(read.at, "unset-variable", said + _meant(look, root))


def _meant(look: _Look, name: str) -> str:
    known = {one for given in (look.first, *look.given) for one in given} - {name}
    return _near(name, sorted(known))


# --- what can happen -----------------------------------------------------------------------


def _unreachable(look: _Look) -> Iterator[Fault]:
    missing = {one.step: one.why for one in simulate(look.plan, look.choices).unreachable}
    for place in look.places:
        step = place.step
        around = look.places[place.loop].step.id if place.loop is not None else None
        # What a loop or a parallel step takes with it is said once.
        if step.id not in missing or around in missing or step.synthesis_of in missing:
            continue
        at = look.at(place, "runCondition") if step.when else look.at(place)
        said = f"step {step.id!r} can never run: {missing[step.id]}"
        yield _fault(at, "unreachable-step", said, look.grave)


def _never_hold(look: _Look) -> Iterator[Fault]:
    for place in look.places:
        for condition, what, *where in _side_conditions(place.step):
            if condition is not None and True not in look.choices.answers(condition):
                said = (
                    f"{what} of step {place.step.id!r} never comes about: "
                    f"{in_words(condition)} never holds{look.choices.hint(condition)}"
                )
                at = look.at(place, *where)
                yield _fault(at, "condition-never-holds", said, look.grave)


def _side_conditions(step: PlanStep) -> Iterator[tuple[Any, ...]]:
    """(condition, what it decides about, where it stands) of all but whether a step runs."""
    for index, fragment in enumerate(step.fragments):
        yield fragment.when, f"fragment {fragment.id!r}", "promptFragments", index, "when"
    for index, ask in enumerate(step.asks):
        yield ask.when, f"question {ask.variable!r}", "questions", index, "when"
    for index, jump in enumerate(step.jumps):
        yield jump.when, f"the jump to {jump.to!r}", "jumpIf", index, "condition"
    if step.confirm is not None:
        yield step.confirm.when, "the gate", "requireConfirmation"
    if step.loop is not None:
        yield step.loop.exit_when, "the exit", "loop", "exitWhen"
    for index, one in enumerate(step.parallel.delegations if step.parallel else ()):
        where = ("parallelDelegations", index, "runCondition")
        yield one.when, f"delegation {one.name!r}", *where


def _loops(look: _Look) -> Iterator[Fault]:
    for place in look.places:
        loop = place.step.loop
        if loop is None:
            continue
        named = f"the loop {place.step.id!r}"
        if loop.type == "for" and isinstance(loop.count, int):
            at = look.at(place, "loop", "count")
            if loop.count == 0:
                said = f"{named} has the count 0, so its steps never run; remove it or count up"
                yield _fault(at, "empty-loop", said, look.grave)
            elif loop.count > loop.passes_max:
                said = f"{named} ends after maxIterations {loop.passes_max}, before {loop.count}"
                yield _fault(at, "cut-short-loop", said)
        if loop.type in ("while", "until"):
            yield from _exits(look, place, named)


def _exits(look: _Look, place: Place, named: str) -> Iterator[Fault]:
    loop = place.step.loop
    assert loop is not None
    body = look.body(place)
    if loop.contract is not None:
        if not any(loop.contract in (one.step.contract, one.step.offers) for one in body):
            ref = loop.contract.replace("wr.", "wr.contracts.", 1)
            how = f"give its last step the outputContract {ref!r}"
            if body[-1].step.parallel is not None:
                how = f"give {body[-1].step.id!r} a synthesis with the outputContract {ref!r}"
            said = f"{named} is steered by {loop.contract}, which no step of its body delivers"
            yield _fault(
                look.at(place, "loop"), "loop-without-steering", f"{said}; {how}", look.grave
            )
        return
    at = look.at(place, *_loop_condition_at(look, place))
    inside = {one.at for one in body}
    targets = [look.layout.target(one, jump) for one in body for jump in one.step.jumps]
    if loop.when is None or loop.exit_when is not None:
        return
    if any(target not in inside for target in targets):
        return
    wanted = loop.type == "until"
    if wanted not in look.choices.answers(loop.when):
        how = "never" if wanted else "always"
        said = f"{named} is never left before its most passes: {in_words(loop.when)} {how} holds"
        yield _fault(at, "loop-without-exit", said, look.grave)
        return
    roots = dict.fromkeys(_root(path) for path in conditions.variables(loop.when))
    changed = frozenset(loop_variables(loop)).union(*(look.loose[one.at] for one in body))
    if not changed & {*roots, _ANYTHING}:
        said = (
            f"{named} has no real exit: nothing in its body gives {' or '.join(roots)}; name it in "
            f"the `gives` of a step of the body, or use exitWhen or wr.contracts.loop_control"
        )
        yield _fault(at, "loop-without-exit", said, look.grave)
    elif not wanted and not conditions.holds(loop.when, {}):
        before = look.entry(place)
        if not before & {*roots, _ANYTHING}:
            said = (
                f"{named} never begins: {in_words(loop.when)} is not met while "
                f"{' and '.join(roots)} is unset, and nothing before the loop gives it"
            )
            yield _fault(at, "loop-never-begins", said)


def _jumps(look: _Look) -> Iterator[Fault]:
    for place in look.places:
        for index, jump in enumerate(place.step.jumps):
            target = look.layout.target(place, jump)
            if target is None or jump.jumps_max == 1 or target == place.at:
                continue
            if place.at not in look.leads(target):
                said = (
                    f"step {place.step.id!r}: nothing leads back from {jump.to!r}, so this jump "
                    f"happens at most once; write maxJumps 1"
                )
                at = look.at(place, "jumpIf", index, "maxJumps")
                yield _fault(at, "jump-only-once", said)


# --- what is asked for and delivered -------------------------------------------------------


def _contracts(look: _Look) -> Iterator[Fault]:
    delivered = {one for place in look.places for one in (place.step.contract, place.step.offers)}
    for kind in look.plan.contracts:
        if kind not in delivered:
            said = f"no step delivers {kind!r}; give one the outputContract {kind!r}"
            yield _fault(("steps",), "contract-never-delivered", said, "error")
    for place in look.places:
        parallel = place.step.parallel
        if parallel is None:
            continue
        heard = [look.places[at].step for at in sorted(look.leads(place.at))]
        if any(one.loop is None and one.parallel is None for one in heard):
            continue
        if not look.read & look.given[place.at]:
            said = (
                f"nobody hears of the results of step {place.step.id!r}: no step of the agent "
                f"follows and nothing reads {parallel.results!r}; give it a `synthesis`"
            )
            yield _fault(look.at(place), "results-unheard", said)


def _spec_gives(look: _Look) -> Iterator[Fault]:
    declared = frozenset({*look.plan.needs}).union(*look.given)
    hinted = frozenset().union(*look.loose)
    for name in look.plan.gives:
        if name not in declared:
            loose = name in hinted or _ANYTHING in hinted
            said = (
                f"the spec declares to give {name!r}, and no step does; add it to a step's `gives`"
            )
            level: Level = "warning" if loose else "error"
            said += _near(name, sorted(declared))
            yield _fault(("gives", name), "never-given", said, level)


def _unused(look: _Look) -> Iterator[Fault]:
    if any(look.unread_text):
        return
    told = Counter(name for mentioned in look.mentioned for name in mentioned)
    for place in look.places:
        for name in place.step.gives:
            elsewhere = told[name] - (name in look.mentioned[place.at])
            if name not in look.read and name not in OURS and not elsewhere:
                said = f"step {place.step.id!r} gives {name!r}, which nothing reads"
                yield _fault(look.at(place, "gives", name), "unused-variable", said)


def _assessments(look: _Look) -> Iterator[Fault]:
    used = {one.id for place in look.places for one in place.step.assessments}
    for index, assessment in enumerate(look.spec.assessments):
        if assessment.id not in used:
            said = f"no step makes the assessment {assessment.id!r}; name it in assessmentRefs"
            yield _fault(("assessments", index), "unused-assessment", said)


def _defaults(look: _Look) -> Iterator[Fault]:
    """Defaults of the spec's `needs`: those of no use, and what they keep from being asked."""
    usual = {name: one["default"] for name, one in look.plan.needs.items() if "default" in one}
    wanted = {name: look.plan.needs[name] for name in usual}
    for wrong in context_check.missing(wanted, usual):
        said = (
            f"the default cannot be used: {wrong.message} Correct it, or leave it out, and it is "
            f"asked for"
        )
        at = ("needs", wrong.pointer.name, "default")
        yield _fault(at, "default-does-not-fit", said, "error")
    for place in look.places:
        sought = [("contextGather", at, one.variable) for at, one in enumerate(place.step.gathers)]
        sought += [("questions", at, ask.variable) for at, ask in enumerate(place.step.asks)]
        for key, index, name in sought:
            if name in usual:
                what = "looked for" if key == "contextGather" else "asked for"
                said = (
                    f"step {place.step.id!r}: {name!r} is never {what}, because the spec's `needs` "
                    f"give it a default; take that away, or give what is {what} another name"
                )
                yield _fault(look.at(place, key, index), "hidden-by-default", said)


def _questions(look: _Look) -> Iterator[Fault]:
    for place in look.places:
        for index, ask in enumerate(place.step.asks):
            wrong = _default_wrong(ask)
            if wrong:
                said = f"the default of question {ask.variable!r} {wrong}"
                at = look.at(place, "questions", index, "default")
                yield _fault(at, "wrong-default", said, "error")


def _default_wrong(ask: Ask) -> str:
    default = ask.default
    number = isinstance(default, int | float) and not isinstance(default, bool)
    fits = {
        "text": isinstance(default, str),
        "choice": default in ask.options,
        "boolean": isinstance(default, bool),
        "number": number,
    }
    if default is None or fits[ask.type]:
        return ""
    if ask.type == "choice":
        return f"is none of its options{nearest(str(default), ask.options)}"
    return f"is no {ask.type}; write it as {_EXAMPLES[ask.type]}"


_EXAMPLES = {"text": "a text in quotes", "boolean": "true or false", "number": "a number, like 3"}

_CHECKS: tuple[Callable[[_Look], Iterator[Fault]], ...] = (
    _unset,
    _unreachable,
    _never_hold,
    _loops,
    _jumps,
    _contracts,
    _spec_gives,
    _unused,
    _assessments,
    _defaults,
    _questions,
)
