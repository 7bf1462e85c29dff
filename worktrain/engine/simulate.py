"""Walks every way through a plan with stub answers: what is reached, and how long it can get."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any, Literal, NamedTuple

from worktrain.contracts.base import JsonObject, Value
from worktrain.contracts.plan import Ask, Jump, Loop, Plan, PlanStep
from worktrain.engine import conditions
from worktrain.engine.fault import nearest
from worktrain.engine.picture import in_words

STATES_MAX = 2_000
"""States of one walk. Beyond it conditions are taken each by itself."""


class Path(Value):
    """One way from the first step to the end."""

    steps: tuple[str, ...] = ()
    """Ids in the order in which they first ran, loops and parallel steps too."""
    turns: int = 0
    """Steps that the agent does, every pass and every jump back counted."""


class Unreachable(Value):
    step: str
    why: str


class Simulation(Value):
    """What a plan can come to, whatever its agents answer."""

    reached: tuple[str, ...]
    """Ids, in the order of the plan."""
    unreachable: tuple[Unreachable, ...]
    longest: Path
    """With every loop at its most passes and every jump back as often as it may be taken; later
    passes count as one of them, so no session does more turns."""
    shortest: Path
    """No session that ends does fewer turns."""
    paths: int
    """Ways that differ in a step, in what a condition's answer was and why, or in whether a loop
    has no pass, one or the most."""
    states: int
    cut_off: bool
    """There were more than `STATES_MAX` states, so variables were not held to one value along a
    path: `longest` and `shortest` are bounds then."""


def simulate(plan: Plan, choices: "Choices | None" = None) -> Simulation:
    """Walk every way: conditions both ways, loops 0, 1 and the most passes, jumps taken and not.

    A variable keeps its value until a step gives it. One that no step declares may be changed by
    any step of the agent, so a step counts as unreachable only if that does not lead to it.
    `choices` are the plan's, where they are known already.
    """
    layout = Layout(plan)
    choices = choices or Choices(plan)
    walk = _Walk(layout, choices, "kept").done()
    counted = _Walk(layout, choices, "none").done() if walk.cut_off else walk
    ids = tuple(place.step.id for place in layout.places)
    ran = {*walk.ran, *counted.ran}
    unreachable: tuple[Unreachable, ...] = ()
    if not ran.issuperset(ids):
        wide = _Walk(layout, choices, "declared", cyclic=True).done()
        if wide.cut_off:
            wide = _Walk(layout, choices, "none", cyclic=True).done()
        ran |= wide.ran
        missing = [place for place in layout.places if place.step.id not in ran]
        if not wide.cut_off:
            unreachable = tuple(_explained(place, layout, choices, wide) for place in missing)
    longest, shortest, paths = counted.measured()
    return Simulation(
        reached=tuple(one for one in dict.fromkeys(ids) if one in ran),
        unreachable=unreachable,
        longest=longest,
        shortest=shortest,
        paths=paths,
        states=len(counted.moves),
        cut_off=walk.cut_off,
    )


def _explained(place: "Place", layout: "Layout", choices: "Choices", walk: "_Walk") -> Unreachable:
    step = place.step
    loop = layout.places[place.loop].step if place.loop is not None else None
    if step.when is not None and True not in choices.answers(step.when):
        why = f"{in_words(step.when)} never holds{choices.hint(step.when)}"
    elif step.synthesis_of is not None and step.synthesis_of not in walk.ran:
        why = f"{step.synthesis_of!r}, whose results it puts together, never runs"
    elif step.when is not None and place.at in walk.visited:
        why = f"wherever it is reached, {in_words(step.when)} is false"
    elif loop is not None and loop.id not in walk.ran:
        why = f"the loop {loop.id!r} is unreachable"
    elif loop is not None and layout.places[place.loop or 0].at + 1 not in walk.visited:
        why = f"the loop {loop.id!r} never begins a pass"
    else:
        why = "a jump in front of it is always taken"
    return Unreachable(step=step.id, why=why)


# --- the places of a plan ------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A step, and where it stands: steps of loops follow their loop."""

    at: int
    step: PlanStep
    loop: int | None = None
    """The place of the loop whose body it is in."""
    behind: int = 0
    """The place behind it; behind a loop's last step is the loop, behind a loop what follows."""


class Layout:
    """The steps of a plan in one row, and which may follow which, whatever conditions say."""

    def __init__(self, plan: Plan) -> None:
        places: list[Place] = []
        for step in plan.steps:
            at = len(places)
            body = step.loop.body if step.loop else ()
            places.append(Place(at, step, None, at + 1 + len(body)))
            for index, inner in enumerate(body, at + 1):
                last = index == at + len(body)
                places.append(Place(index, inner, at, at if last else index + 1))
        self.places: tuple[Place, ...] = tuple(places)
        self.outside = {one.step.id: one.at for one in places if one.loop is None}
        self.inside = {(one.loop, one.step.id): one.at for one in places if one.loop is not None}

    def target(self, place: Place, jump: Jump) -> int | None:
        """Where a jump leads: a step of the same loop, else one outside of loops."""
        if place.loop is not None and (place.loop, jump.to) in self.inside:
            return self.inside[place.loop, jump.to]
        return self.outside.get(jump.to)

    def following(self, place: Place) -> tuple[int, ...]:
        """Places that may come next; the end of the plan is left out."""
        to = [place.behind, *(self.target(place, jump) for jump in place.step.jumps)]
        if place.step.loop is not None:
            to.append(place.at + 1)
        return tuple(at for at in dict.fromkeys(to) if at is not None and at < len(self.places))


def given_by(step: PlanStep) -> dict[str, JsonObject | None]:
    """The variables that a step declares to give, each with its JSON Schema if it has one."""
    given: dict[str, JsonObject | None] = {}
    for ask in step.asks:
        given[ask.variable] = _schema_of(ask)
    for source in step.gathers:
        given[source.variable] = {"type": "string"}
    if step.parallel is not None:
        given[step.parallel.results] = {"type": "array"}
        for delegation in step.parallel.delegations:
            given.update(dict.fromkeys(delegation.gives))
    if step.assessments:
        given["assessments"] = None
    return {**given, **step.gives}


def loop_variables(loop: Loop) -> tuple[str, ...]:
    """The variables that exist in the body of a loop."""
    return (
        loop.iteration_var,
        *((loop.item_var, loop.index_var) if loop.type == "forEach" else ()),
    )


def _schema_of(ask: Ask) -> JsonObject:
    if ask.type == "choice":
        return {"enum": list(ask.options)}
    return {"type": {"text": "string"}.get(ask.type, ask.type)}


# --- the values that tell conditions apart -------------------------------------------------

_UNSET: Any = object()
_PLAIN = frozenset({"var", "equals", "not_equals", "gt", "gte", "lt", "lte", "in"})
"""What is decided by comparing with the values that are written down. The other operators look
into a text, of which no finite number of examples shows all that is possible."""
_SOMETHING = "something else"
_OUTCOMES_MAX = 32

Tree = tuple[Any, ...]
Masks = tuple[int, ...]


@dataclass(frozen=True)
class _Slot:
    """A variable, as the set of values that are still possible: a bit each, the first is unset.

    Without values it is a test of its own, which holds (bit 1) or does not (bit 0).
    """

    path: str
    root: str
    values: tuple[Any, ...] = ()
    closed: bool = False

    @property
    def full(self) -> int:
        return (1 << max(2, len(self.values))) - 1

    def where(self, wanted: range) -> int:
        """The bits of some numbers; all bits when it has none of them."""
        numbers = [type(one) is int and one in wanted for one in self.values]
        return sum(1 << bit for bit, one in enumerate(numbers) if one) or self.full


class Choices:
    """What the variables of a plan's conditions can be, as far as its conditions tell it apart.

    A variable that is declared with an enum or as a boolean has these values only; of any other
    type it has the values that conditions name, others of the type, or none.
    """

    def __init__(self, plan: Plan) -> None:
        layout = Layout(plan)
        self._types = _types(plan, layout)
        self.slots: list[_Slot] = []
        self._trees: dict[str, Tree] = {}
        leaves: dict[str, dict[str, JsonObject]] = {}
        found = [one for place in layout.places for one in conditions_of(place.step)]
        for condition in found:
            for leaf in _leaves(condition):
                leaves.setdefault(str(leaf["var"]), {})[_key(leaf)] = leaf
        self._leaf: dict[str, Tree] = {}
        numbers: dict[str, tuple[int, ...]] = {}
        for step in plan.steps:
            if step.loop is not None:
                for name in (step.loop.iteration_var, step.loop.index_var):
                    most = step.loop.passes_max
                    numbers[name] = (*numbers.get(name, (0, 1, 2)), most - 1, most)
        for path, tests in leaves.items():
            self._add(path, tests, numbers.get(path, ()))
        for condition in found:
            self._trees[_key(condition)] = self._tree(condition)
        self.full: Masks = tuple(slot.full for slot in self.slots)
        self.declared = frozenset(self._types)

    def reads(self, condition: JsonObject) -> int:
        """The slots that a condition reads, as bits."""
        bits = 0
        for leaf in _leaves(condition):
            bits |= 1 << self._leaf[_key(leaf)][1]
        return bits

    def outcomes(self, condition: JsonObject, masks: Masks) -> list[tuple[bool, Masks]]:
        """The answers that a condition can have, each with what is possible afterwards."""
        found = list(dict.fromkeys(self._decided(self._trees[_key(condition)], masks)))
        if len(found) <= _OUTCOMES_MAX:
            return found
        return [(answer, masks) for answer in sorted({answer for answer, _ in found})]

    def answers(self, condition: JsonObject) -> frozenset[bool]:
        """The answers that a condition can have at all."""
        return frozenset(answer for answer, _ in self.outcomes(condition, self.full))

    def hint(self, condition: JsonObject) -> str:
        """What the variable of a test that never holds can be, and which was probably meant."""
        for leaf in _leaves(condition):
            _, slot_at, mask = self._leaf[_key(leaf)]
            slot = self.slots[slot_at]
            if not slot.closed or mask:
                continue
            known = [one for one in slot.values if one is not _UNSET]
            named = ", ".join(repr(one) if isinstance(one, str) else _text(one) for one in known)
            meant = nearest(_text(leaf.get("equals")), [_text(one) for one in known])
            meant = meant if "did you mean" in meant else ""
            return f": {slot.path} is one of {named}{meant}"
        return ""

    def given(self, masks: Masks, names: Mapping[str, bool]) -> Masks:
        """With variables changed; true for those that are certainly set then."""
        return tuple(
            _set(slot, surely=names[slot.root]) if slot.root in names else mask
            for slot, mask in zip(self.slots, masks, strict=True)
        )

    def forgotten(self, masks: Masks, bits: int) -> Masks:
        """With some slots changed by an agent that says nothing of it."""
        if not bits:
            return masks
        return tuple(
            full if bits >> at & 1 else mask
            for at, (full, mask) in enumerate(zip(self.full, masks, strict=True))
        )

    def in_pass(self, masks: Masks, loop: Loop, nth: int) -> Masks:
        """With the variables of a loop in its first pass (1) or in any later one (2)."""
        first = {loop.iteration_var: 1}
        if loop.type == "forEach":
            first[loop.index_var] = 0

        def of(slot: _Slot, mask: int) -> int:
            if slot.root == loop.item_var and loop.type == "forEach":
                return _set(slot, surely=slot.path == slot.root)
            if slot.path not in first or not slot.values:
                return slot.full if slot.path in first else mask
            start = first[slot.path]
            last = start + loop.passes_max - 1
            wanted = range(start, start + 1) if nth == 1 else range(start + 1, last + 1)
            return slot.where(wanted)

        return tuple(of(slot, mask) for slot, mask in zip(self.slots, masks, strict=True))

    def _add(self, path: str, tests: Mapping[str, JsonObject], numbers: Sequence[int]) -> None:
        root = path.partition(".")[0]
        schemas = [_within(schema, path.split(".")[1:]) for schema in self._types.get(root, ())]
        closed = _closed(schemas)
        plain = {key: leaf for key, leaf in tests.items() if closed or leaf.keys() <= _PLAIN}
        if plain:
            values = closed or _examples(plain.values(), numbers, _kinds(schemas))
            slot = _Slot(path, root, (_UNSET, *values), closed is not None)
            for key, leaf in plain.items():
                told = [conditions.holds(leaf, _context(path, one)) for one in slot.values]
                mask = sum(1 << bit for bit, one in enumerate(told) if one)
                self._leaf[key] = ("leaf", len(self.slots), mask)
            self.slots.append(slot)
        for key in (key for key in tests if key not in plain):
            self._leaf[key] = ("leaf", len(self.slots), 0b10)
            self.slots.append(_Slot(path, root))

    def _tree(self, condition: JsonObject) -> Tree:
        for form in ("and", "or"):
            if form in condition:
                return (form, tuple(self._tree(one) for one in condition[form]))
        if "not" in condition:
            return ("not", self._tree(condition["not"]))
        return self._leaf[_key(condition)]

    def _decided(self, tree: Tree, masks: Masks) -> Iterator[tuple[bool, Masks]]:
        form = tree[0]
        if form == "leaf":
            _, at, mask = tree
            for answer, kept in ((True, masks[at] & mask), (False, masks[at] & ~mask)):
                if kept:
                    yield answer, (*masks[:at], kept, *masks[at + 1 :])
        elif form == "not":
            for answer, after in self._decided(tree[1], masks):
                yield not answer, after
        else:
            # An `and` is settled by the first that does not hold, an `or` by the first that does.
            settles = form == "or"
            open_ways = [masks]
            for part in tree[1]:
                going_on: list[Masks] = []
                for way in open_ways:
                    for answer, after in self._decided(part, way):
                        if answer == settles:
                            yield answer, after
                        else:
                            going_on.append(after)
                # More ways than that are one: nothing is known of the variables then.
                unique = list(dict.fromkeys(going_on))
                open_ways = unique if len(unique) <= _OUTCOMES_MAX else [masks]
            for way in open_ways:
                yield not settles, way


def conditions_of(step: PlanStep) -> Iterator[JsonObject]:
    """Every condition of a step, without those of the steps in its loop."""
    parts: list[JsonObject | None] = [step.when, step.confirm.when if step.confirm else None]
    parts += [one.when for one in step.fragments]
    parts += [one.when for one in step.asks]
    parts += [one.when for one in step.jumps]
    if step.loop is not None:
        parts += [step.loop.when, step.loop.exit_when]
    if step.parallel is not None:
        parts += [one.when for one in step.parallel.delegations]
        if _all_conditional(step):
            parts.append(_any_delegation(step))
    return (one for one in parts if one is not None)


def _all_conditional(step: PlanStep) -> bool:
    return step.parallel is not None and all(one.when for one in step.parallel.delegations)


def _any_delegation(step: PlanStep) -> JsonObject:
    assert step.parallel is not None
    return {"or": [one.when for one in step.parallel.delegations]}


def _leaves(condition: JsonObject) -> Iterator[JsonObject]:
    if "var" in condition:
        yield condition
    for form in ("and", "or"):
        for part in condition.get(form, ()):
            yield from _leaves(part)
    if "not" in condition:
        yield from _leaves(condition["not"])


def _key(condition: JsonObject) -> str:
    return json.dumps(condition, sort_keys=True)


def _set(slot: _Slot, *, surely: bool) -> int:
    unset = surely and bool(slot.values) and slot.path == slot.root
    return slot.full & ~1 if unset else slot.full


def _context(path: str, value: Any) -> JsonObject:
    if value is _UNSET:
        return {}
    for part in reversed(path.split(".")):
        value = {part: value}
    return dict(value)


def _types(plan: Plan, layout: Layout) -> dict[str, list[JsonObject | None]]:
    """The schemas of each variable that something declares; None where it may be anything."""
    found: dict[str, list[JsonObject | None]] = {}
    declared: list[Mapping[str, JsonObject | None]] = [plan.needs]
    for place in layout.places:
        declared.append(given_by(place.step))
        if place.step.loop is not None:
            names = loop_variables(place.step.loop)
            declared.append(dict.fromkeys(names))
    for some in declared:
        for name, schema in some.items():
            found.setdefault(name, []).append(schema)
    return found


def _within(schema: JsonObject | None, path: Sequence[str]) -> JsonObject | None:
    """The schema of a part of a value, or None if it may be anything."""
    for part in path:
        inner = (schema or {}).get("properties")
        schema = inner.get(part) if isinstance(inner, dict) else None
    return schema


def _closed(schemas: Sequence[JsonObject | None]) -> tuple[Any, ...] | None:
    """All values of a type that has few, else None."""
    values: list[Any] = []
    for schema in schemas:
        if schema is None:
            return None
        if isinstance(schema.get("enum"), list):
            values += schema["enum"]
        elif "const" in schema:
            values.append(schema["const"])
        elif schema.get("type") == "boolean":
            values += [True, False]
        else:
            return None
    return tuple(values) or None


def _kinds(schemas: Sequence[JsonObject | None]) -> frozenset[str] | None:
    """The JSON types that a value can have, or None for all."""
    kinds: set[str] = set()
    for schema in schemas:
        said = (schema or {}).get("type")
        if isinstance(said, str):
            kinds.add(said)
        elif isinstance(said, list):
            kinds.update(str(one) for one in said)
        else:
            return None
    return frozenset(kinds) or None


_KIND_OF: tuple[tuple[Any, frozenset[str]], ...] = (
    (bool, frozenset({"boolean"})),
    (int, frozenset({"integer", "number"})),
    (float, frozenset({"number"})),
    (str, frozenset({"string"})),
    (list, frozenset({"array"})),
    (dict, frozenset({"object"})),
    (object, frozenset({"null"})),
)


def _examples(
    leaves: Iterable[JsonObject], numbers: Sequence[int], kinds: frozenset[str] | None
) -> tuple[Any, ...]:
    """Values of the wanted types that conditions can tell apart: those that they name, numbers
    between these, and something that they do not name."""
    named: list[Any] = list(numbers)
    for leaf in leaves:
        named += [one for key, one in leaf.items() if key not in ("var", "in")]
        named += leaf.get("in") or ()
    written = sorted({number for one in named for number in _number(one)})
    between = [(low + written[at]) / 2 for at, low in enumerate(written[:-1], 1)]
    around = [edge for one in written for edge in (floor(one), ceil(one), one - 1, one + 1)]
    texts = [_text(one) for one in named if isinstance(one, str | int | float)]
    others = [True, False, _SOMETHING, "", 0, 1, [], [_SOMETHING], {}, {_SOMETHING: 1}]
    examples: dict[str, Any] = {}
    for one in (*named, *texts, *written, *between, *around, *others):
        # 2.0 is the integer 2 in JSON.
        value = int(one) if isinstance(one, float) and one == floor(one) else one
        kind = next(names for types, names in _KIND_OF if isinstance(value, types))
        if value is not None and (kinds is None or kind & kinds):
            examples.setdefault(json.dumps(value, sort_keys=True), value)
    return tuple(examples.values())


def _number(value: Any) -> tuple[float, ...]:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ()
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return ()
    return (number,) if abs(number) < 1e15 else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# --- the walk ------------------------------------------------------------------------------

Memory = Literal["kept", "declared", "none"]
"""How long a variable keeps its value: until it is given; only if some step declares to give it;
never."""


class _Again(NamedTuple):
    """What is done several times: the later passes of a loop, or what a jump leads back to."""

    at: int
    """Place of the loop, or of the step with the jump."""
    most: int
    least: int = 1
    jump: bool = False


class _State(NamedTuple):
    at: int
    nth: int
    """0 outside of loops and at the beginning of one, 1 in its first pass, 2 in a later one, which
    stands for all later ones."""
    masks: Masks
    taken: int
    """Jumps that were taken, as bits. One that was is at its maximum."""
    again: tuple["_Again", ...]


class _Move(NamedTuple):
    to: _State | None
    ran: str = ""
    most: int = 0
    least: int = 0
    """Turns of the agent that it stands for."""


class _Walk:
    """The states of a plan and the moves between them.

    Without `cyclic` every loop has at most two passes and every jump is taken at most once, each
    weighed with how often it may happen: there are no circles, and ways can be measured. With it
    nothing is weighed, and every later pass may be followed by another one.
    """

    def __init__(
        self, layout: Layout, choices: Choices, memory: Memory, *, cyclic: bool = False
    ) -> None:
        self._layout = layout
        self._choices = choices
        self._memory = memory
        self._cyclic = cyclic
        self.moves: dict[_State, tuple[_Move, ...]] = {}
        self.order: list[_State] = []
        self.ran: set[str] = set()
        self.visited: set[int] = set()
        self.cut_off = False
        self._jump = {
            (place.at, index): number
            for number, (place, index) in enumerate(
                (place, index)
                for place in layout.places
                for index, _ in enumerate(place.step.jumps)
            )
        }
        undeclared = [slot.root not in choices.declared for slot in choices.slots]
        self._undeclared = sum(1 << at for at, one in enumerate(undeclared) if one)
        self._live = _onward(layout, [_read(place, choices) for place in layout.places])
        self._jumps_ahead = _onward(
            layout,
            [
                sum(1 << bit for (at, _), bit in self._jump.items() if at == place.at)
                for place in layout.places
            ],
        )
        self._start = self._placed(_State(0, 0, choices.full, 0, ()), 0, choices.full)

    def done(self) -> "_Walk":
        stack = [(one, iter(self._seen(one))) for one in (self._start,) if one is not None]
        while stack:
            state, moves = stack[-1]
            for move in moves:
                if move.to is None or move.to in self.moves:
                    continue
                if len(self.moves) >= STATES_MAX:
                    self.cut_off = True
                    continue
                stack.append((move.to, iter(self._seen(move.to))))
                break
            else:
                self.order.append(state)
                stack.pop()
        return self

    def measured(self) -> tuple[Path, Path, int]:
        """The longest way, the shortest one, and how many there are."""
        longest: dict[_State, tuple[int, _Move]] = {}
        shortest: dict[_State, tuple[int, _Move]] = {}
        ways: dict[_State, int] = {}
        for state in self.order:
            whole = [one for one in self.moves[state] if one.to is None or one.to in ways]
            if not whole:
                continue
            ways[state] = sum(ways[one.to] if one.to else 1 for one in whole)
            most = [(one.most + (longest[one.to][0] if one.to else 0), one) for one in whole]
            least = [(one.least + (shortest[one.to][0] if one.to else 0), one) for one in whole]
            longest[state] = max(most, key=lambda pair: pair[0])
            shortest[state] = min(least, key=lambda pair: pair[0])
        start = self._start
        if start is None or start not in ways:
            return Path(), Path(), 0
        return _path(longest, start), _path(shortest, start), ways[start]

    def _seen(self, state: _State) -> tuple[_Move, ...]:
        place = self._layout.places[state.at]
        if state.nth == 0 or place.step.loop is None:
            self.visited.add(state.at)
        made = self._of_loop(state, place) if place.step.loop else self._of_step(state, place)
        moves = tuple(dict.fromkeys(made))
        self.moves[state] = moves
        self.ran.update(one.ran for one in moves if one.ran)
        return moves

    def _of_step(self, state: _State, place: Place) -> Iterator[_Move]:
        step = place.step
        for runs, masks in self._answers(step.when, state.masks):
            if not runs:
                yield _Move(self._passed_over(state, place, masks, synthesis=True))
                continue
            if step.parallel is not None and (step.parallel.items or _all_conditional(step)):
                wanted = None if step.parallel.items else _any_delegation(step)
                for some, then in self._some_or_none(wanted, masks, place):
                    if not some or wanted is None:
                        yield _Move(self._passed_over(state, place, then, synthesis=False))
                    if some:
                        yield from self._having_run(state, place, then)
                continue
            yield from self._having_run(state, place, masks)

    def _having_run(self, state: _State, place: Place, masks: Masks) -> Iterator[_Move]:
        step = place.step
        most, least = (0, 0) if step.parallel else _times(state.again)
        given = given_by(step)
        masks = self._choices.given(masks, {name: name in step.gives for name in given})
        if self._memory == "declared" and not step.parallel:
            masks = self._choices.forgotten(masks, self._undeclared)
        # A step that decides on a jump by a variable that nothing declares sets it itself.
        read = 0
        for jump in step.jumps:
            read |= self._choices.reads(jump.when)
        masks = self._choices.forgotten(masks, read & self._undeclared)
        state = state._replace(again=tuple(one for one in state.again if one.at != place.at))
        ways = [masks]
        for index, jump in enumerate(step.jumps):
            bit = 1 << self._jump[place.at, index]
            target = self._layout.target(place, jump)
            if target is None or (state.taken & bit and not self._cyclic):
                continue
            going_on: list[Masks] = []
            for way in ways:
                for holds, then in self._answers(jump.when, way):
                    if holds:
                        after = state._replace(taken=state.taken | bit)
                        to = self._jumped(after, place, target, jump, then)
                        yield _Move(to, step.id, most, least)
                    if not holds or state.taken & bit:
                        going_on.append(then)
            ways = list(dict.fromkeys(going_on))
        for way in ways:
            yield _Move(self._placed(state, place.behind, way), step.id, most, least)

    def _of_loop(self, state: _State, place: Place) -> Iterator[_Move]:
        loop = place.step.loop
        assert loop is not None
        if state.nth == 0:
            for runs, masks in self._answers(place.step.when, state.masks):
                if runs:
                    yield from self._next_pass(state, place, loop, masks)
                else:
                    yield _Move(self._placed(state, place.behind, masks))
            return
        masks = state.masks
        for condition in (loop.when, loop.exit_when):
            if condition is not None:
                bits = self._choices.reads(condition) & self._undeclared
                masks = self._choices.forgotten(masks, bits)
        for leaves, then in self._answers(loop.exit_when, masks) if loop.exit_when else ():
            if leaves:
                yield self._left(state, place, then)
            else:
                yield from self._next_pass(state, place, loop, then)
        if loop.exit_when is None:
            yield from self._next_pass(state, place, loop, masks)

    def _next_pass(self, state: _State, place: Place, loop: Loop, masks: Masks) -> Iterator[_Move]:
        """Begin the next pass or leave the loop, whichever is possible."""
        most = min(loop.passes_max, loop.count) if isinstance(loop.count, int) else loop.passes_max
        if state.nth >= min(most, 2):
            yield self._left(state, place, masks)
            if state.nth < 2 or not self._cyclic:
                return
        nth = min(state.nth + 1, 2)
        ways = self._steering(loop, masks, state.nth)
        for goes_on, then in ways:
            if not goes_on:
                yield self._left(state, place, then)
        if not any(goes_on for goes_on, _ in ways):
            return
        if nth == 2 and not self._cyclic:
            # It stands for every later pass, whatever earlier ones gave.
            masks = self._rerun(masks, place.at + 1, len(loop.body))
            ways = self._steering(loop, masks, state.nth)
            fixed = isinstance(loop.count, int) and loop.exit_when is None
            again = _Again(place.at, most - 1, most - 1 if fixed else 1)
            state = state._replace(again=(*state.again, again))
        inside = state._replace(nth=nth)
        for goes_on, then in ways:
            if goes_on:
                variables = self._choices.in_pass(then, loop, nth)
                to = self._placed(inside, place.at + 1, variables)
                yield _Move(to, place.step.id)

    def _rerun(self, masks: Masks, start: int, length: int) -> Masks:
        """With everything that some steps give at any value that it can have."""
        steps = [place.step for place in self._layout.places[start : start + length]]
        return self._choices.given(masks, {name: False for one in steps for name in given_by(one)})

    def _steering(self, loop: Loop, masks: Masks, passes: int) -> Sequence[tuple[bool, Masks]]:
        if loop.type in ("for", "forEach"):
            both = loop.type == "forEach" or isinstance(loop.count, str)
            return [(True, masks), (False, masks)] if both else [(True, masks)]
        if loop.contract is not None:
            # At first only a step in front of the loop can have said that it is enough.
            others = (one.step for one in self._layout.places if one.step not in loop.body)
            said = passes or any(loop.contract in (one.contract, one.offers) for one in others)
            return [(True, masks), (False, masks)] if said else [(True, masks)]
        answers = self._answers(loop.when, masks)
        if loop.type == "until" and loop.when is not None:
            return [(not holds, then) for holds, then in answers]
        return answers

    def _left(self, state: _State, place: Place, masks: Masks) -> _Move:
        out = _outside(state, place)._replace(nth=0)
        loop = place.step.loop
        assert loop is not None
        masks = self._choices.given(masks, dict.fromkeys(loop_variables(loop), False))
        return _Move(self._placed(out, place.behind, masks), place.step.id)

    def _answers(self, condition: JsonObject | None, masks: Masks) -> Sequence[tuple[bool, Masks]]:
        return [(True, masks)] if condition is None else self._choices.outcomes(condition, masks)

    def _some_or_none(
        self, wanted: JsonObject | None, masks: Masks, place: Place
    ) -> Sequence[tuple[bool, Masks]]:
        """Whether any session of a parallel step runs. Which of them is told apart only where
        something behind it reads what that was decided by."""
        answers = self._answers(wanted, masks)
        behind = self._live[place.behind] if place.behind < len(self._live) else 0
        if wanted is None or self._choices.reads(wanted) & behind:
            return answers
        return [(some, masks) for some in dict.fromkeys(some for some, _ in answers)]

    def _jumped(
        self, state: _State, place: Place, target: int, jump: Jump, masks: Masks
    ) -> _State | None:
        within = place.loop is not None and self._layout.places[target].loop == place.loop
        if place.loop is not None and not within:
            state = _outside(state, self._layout.places[place.loop])._replace(nth=0)
        if target <= place.at and not self._cyclic:
            again = _Again(place.at, jump.jumps_max, jump=True)
            state = state._replace(again=(*state.again, again))
            if jump.jumps_max > 1:
                masks = self._rerun(masks, target, place.at + 1 - target)
        return self._placed(state, target, masks)

    def _passed_over(
        self, state: _State, place: Place, masks: Masks, *, synthesis: bool
    ) -> _State | None:
        """Behind a step that does not run, and behind what makes one of its results."""
        state = state._replace(again=tuple(one for one in state.again if one.at != place.at))
        behind = place.behind
        while place.step.parallel and place.at < behind < len(self._layout.places):
            following = self._layout.places[behind]
            delivers = following.step.contract is not None and not synthesis
            if following.step.synthesis_of != place.step.id or delivers:
                break
            behind = following.behind
        return self._placed(state, behind, masks)

    def _placed(self, state: _State, at: int, masks: Masks) -> _State | None:
        """The state at a place, reduced to what can still make a difference; None at the end."""
        if at >= len(self._layout.places):
            return None
        live = 0 if self._memory == "none" else self._live[at]
        kept = self._choices.forgotten(masks, ~live)
        # A jump back is over once its step lies behind.
        again = tuple(one for one in state.again if not one.jump or one.at >= at)
        return _State(at, state.nth, kept, state.taken & self._jumps_ahead[at], again)


def _times(again: Sequence[_Again]) -> tuple[int, int]:
    """How often a step counts, at most and at least.

    The passes of a loop multiply what stands around it. A jump is bounded for the whole session,
    not for each pass of the loop that it is in, so it replaces what stands around it.
    """
    most, least = 1, 1
    for one in again:
        most, least = (one.most, one.least) if one.jump else (most * one.most, least * one.least)
    return most, least


def _outside(state: _State, loop: Place) -> _State:
    """Without what is done several times inside of a loop."""
    kept = tuple(one for one in state.again if not loop.at <= one.at < loop.behind)
    return state._replace(again=kept)


def _path(best: Mapping[_State, tuple[int, _Move]], start: _State) -> Path:
    steps: dict[str, None] = {}
    state: _State | None = start
    while state is not None:
        move = best[state][1]
        if move.ran:
            steps.setdefault(move.ran)
        state = move.to
    return Path(steps=tuple(steps), turns=best[start][0])


def _read(place: Place, choices: Choices) -> int:
    """The slots that decide where a session goes from a place, as bits."""
    step = place.step
    read = [step.when, *(jump.when for jump in step.jumps)]
    if step.loop is not None:
        read += [step.loop.when, step.loop.exit_when]
    if _all_conditional(step):
        read.append(_any_delegation(step))
    bits = 0
    for condition in read:
        bits |= choices.reads(condition) if condition else 0
    return bits


def _onward(layout: Layout, own: Sequence[int]) -> list[int]:
    """For each place the bits of its own and of every place that may follow."""
    bits = list(own)
    follow = [layout.following(place) for place in layout.places]
    changing = True
    while changing:
        changing = False
        for at in reversed(range(len(bits))):
            wider = bits[at]
            for to in follow[at]:
                wider |= bits[to]
            changing = changing or wider != bits[at]
            bits[at] = wider
    return bits
