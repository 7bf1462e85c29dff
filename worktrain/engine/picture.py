"""Shows a plan: as text for a terminal, as an SVG, and as what happened when it was walked."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worktrain.contracts.base import JsonObject
from worktrain.contracts.plan import Confirmation, Loop, Parallel, Plan, PlanStep
from worktrain.contracts.trace import Trace, TraceKind

LINE_CHARACTERS_MAX = 160


def outline(plan: Plan) -> str:
    """The steps with their numbers, and below each what decides about it; no ending newline."""
    lines = [_headline(plan)]
    for row in _rows(plan):
        lines.append(row.title_line())
        lines.extend(f"{row.indent}   {note}" for note in row.notes)
    return "\n".join(lines)


def ran(plan: Plan, trace: Sequence[Trace]) -> str:
    """The outline of what happened: per step a mark, how often it ran, and why it did not.

    `✓` it ran, `»` it was begun and not done, `-` it was skipped, `·` it was not reached.
    """
    by_step: dict[str, list[Trace]] = {}
    for entry in trace:
        by_step.setdefault(entry.step, []).append(entry)
    lines = [_headline(plan)]
    for row in _rows(plan):
        mark, notes = _happened(row.step, by_step.pop(row.step.id, []))
        lines.append(f"{mark} {row.title_line()}")
        lines.extend(f"  {row.indent}   {note}" for note in notes)
    others = [entry for entries in by_step.values() for entry in entries]
    if others:
        lines.append("besides:")
        for entry in sorted(others, key=lambda one: one.n):
            lines.append(f"  {entry.kind.replace('_', ' ')}: {_line(entry.text)}")
    return "\n".join(lines)


def svg(plan: Plan) -> str:
    """A standalone SVG document, top-down, that follows the reader's light or dark scheme."""
    return _Drawing(plan).document()


def in_words(condition: JsonObject) -> str:
    """A condition as a person would say it, without values: `taskComplexity is not 'Small'`."""
    for form in ("and", "or"):
        if form in condition:
            parts = [
                f"({in_words(one)})" if one.keys() & {"and", "or"} - {form} else in_words(one)
                for one in condition[form]
            ]
            return f" {form} ".join(parts)
    if "not" in condition:
        return f"not ({in_words(condition['not'])})"
    tests = [_TESTS[key].format(_value(one)) for key, one in condition.items() if key in _TESTS]
    return _line(f"{condition.get('var')} {' and '.join(tests) or 'is truthy'}")


_TESTS: Mapping[str, str] = {
    "equals": "is {}",
    "not_equals": "is not {}",
    "gt": "is more than {}",
    "gte": "is at least {}",
    "lt": "is less than {}",
    "lte": "is at most {}",
    "in": "is one of {}",
    "contains": "contains {}",
    "startsWith": "starts with {}",
    "endsWith": "ends with {}",
    "matches": "matches {}",
}


def _value(value: Any) -> str:
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, list | tuple):
        return ", ".join(_value(one) for one in value)
    # Bounds are read as floats: 3 comes back as 3.0.
    whole = isinstance(value, float) and value.is_integer()
    return json.dumps(int(value) if whole else value, ensure_ascii=False)


def _line(text: str) -> str:
    """One line that a terminal and an XML document can be trusted with."""
    flat = "".join(c if c.isprintable() else " " for c in text)
    flat = " ".join(flat.split())
    if len(flat) <= LINE_CHARACTERS_MAX:
        return flat
    return f"{flat[: LINE_CHARACTERS_MAX - 1]}…"


# --- what is told of a step ----------------------------------------------------------------


@dataclass(frozen=True)
class _Row:
    step: PlanStep
    number: str
    notes: tuple[str, ...]
    loop: str = ""
    """The id of the loop that it is in."""

    @property
    def indent(self) -> str:
        return "    " if self.loop else ""

    def title_line(self) -> str:
        return f"{self.indent}{self.number} {self.step.id}: {_line(self.step.title)}"


def _headline(plan: Plan) -> str:
    said = [f"{plan.spec}: {len(plan.steps)} steps, model tier {plan.model_tier}"]
    for word, names in (("needs", plan.needs), ("gives", plan.gives)):
        if names:
            said.append(f"{word} {', '.join(names)}")
    return "; ".join(said)


def _rows(plan: Plan) -> Iterator[_Row]:
    for number, step in enumerate(plan.steps, 1):
        yield _Row(step, f"{number}.", tuple(_notes(step)))
        for inner_number, inner in enumerate(step.loop.body if step.loop else (), 1):
            yield _Row(inner, f"{number}.{inner_number}", tuple(_notes(inner)), step.id)


def _notes(step: PlanStep) -> Iterator[str]:
    """What decides about a step and what it has to bring, a line each."""
    for note in _told(step):
        yield _line(note)


def _told(step: PlanStep) -> Iterator[str]:
    if step.when is not None:
        yield f"? {in_words(step.when)}"
    if step.synthesis_of is not None:
        yield f"? {step.synthesis_of} ran"
    if step.loop is not None:
        yield f"loop: {_loop(step.loop)}"
    for source in step.gathers:
        where = [*source.paths, *(["a URL of the task"] if source.task_url else [])]
        yield f"gathers {source.variable} from {', '.join(where) or 'the coordinator'}"
    for ask in step.asks:
        options = f" ({' | '.join(ask.options)})" if ask.options else ""
        yield f"asks for {ask.variable}{_when(ask.when)}: {ask.text}{options}"
    if step.needs:
        yield f"needs {', '.join(step.needs)}"
    if step.parallel is not None:
        yield from _delegations(step.parallel)
    for fragment in step.fragments:
        yield f"says {fragment.id}{_when(fragment.when)}"
    if step.contract is not None:
        yield f"delivers {step.contract}"
    if step.offers is not None:
        yield f"may deliver {step.offers}"
    for assessment in step.assessments:
        dimensions = [f"{one.id} {'|'.join(one.levels)}" for one in assessment.dimensions]
        yield f"assesses {assessment.id}: {', '.join(dimensions)}"
    for one in step.consequences:
        how_often = f"up to {one.redos_max} times, by a recipe" if one.recipe else "once"
        of = f" of {one.assessment}" if one.assessment else ""
        yield f"{one.level!r}{of}: do it again, {how_often}"
    if step.todo:
        yield f"to do: {len(step.todo)} points"
    if step.gives:
        yield f"gives {', '.join(step.gives)}"
    if step.confirm is not None:
        yield _gate(step.confirm)
    for jump in step.jumps:
        yield f"jumps to {jump.to}{_when(jump.when)}, at most {jump.jumps_max} times"


def _when(condition: JsonObject | None) -> str:
    return "" if condition is None else f" when {in_words(condition)}"


def _gate(confirm: Confirmation) -> str:
    who = {"coordinator_eval": "the coordinator", "human_approval": "a person"}[confirm.kind]
    return f"gate: {who} answers{_when(confirm.when)}"


def _loop(loop: Loop) -> str:
    most = f"at most {loop.passes_max} passes"
    if loop.type == "for":
        said = f"{loop.count} times, {most}"
    elif loop.type == "forEach":
        said = f"for each {loop.item_var} of {loop.items}, {most}"
    elif loop.contract is not None:
        said = f"until {loop.contract} says stop, {most}"
    elif loop.when is not None:
        said = f"{loop.type} {in_words(loop.when)}, {most}"
    else:
        said = f"{loop.passes_max} passes"
    return said + (f"; left{_when(loop.exit_when)}" if loop.exit_when is not None else "")


def _delegations(parallel: Parallel) -> Iterator[str]:
    each = f" for each {parallel.item_var} of {parallel.items}" if parallel.items else ""
    failing = "ends the others" if parallel.on_failure == "abort" else "leaves the others alone"
    yield (
        f"runs {len(parallel.delegations)} sessions{each}, {parallel.concurrency_max} at a time; "
        f"a failure {failing}; results in {parallel.results}"
    )
    for one in parallel.delegations:
        tools = f", tools {', '.join(one.tools)}" if one.tools else ""
        gives = f", gives {', '.join(one.gives)}" if one.gives else ""
        yield f"> {one.name}: {one.spec}{_when(one.when)}{tools}{gives}"


# --- what happened -------------------------------------------------------------------------

_QUIET = frozenset(
    {TraceKind.ENTERED, TraceKind.DONE, TraceKind.PASS, TraceKind.GATE, TraceKind.GIVEN}
)
"""Kinds that are counted, or said by another entry."""

_SAID: Mapping[TraceKind, str] = {
    TraceKind.SKIPPED: "skipped",
    TraceKind.LOOP_ENTERED: "loop entered",
    TraceKind.LOOP_LEFT: "loop left",
    TraceKind.JUMPED: "jumped",
    TraceKind.CONDITION: "no change",
    TraceKind.BLOCKED: "refused",
    TraceKind.ASSESSED: "assessed",
    TraceKind.GATE_ANSWERED: "gate",
    TraceKind.ASKED: "asked",
    TraceKind.ANSWERED: "answered",
    TraceKind.GATHERED: "gathered",
    TraceKind.DELEGATED: "delegated",
    TraceKind.CHILD_ENDED: "session ended",
    TraceKind.SIGNAL: "signal",
    TraceKind.REWOUND: "rewound",
    TraceKind.CONTINUED: "continued",
}


def _happened(step: PlanStep, entries: Sequence[Trace]) -> tuple[str, list[str]]:
    """The mark of a step and its lines; equal ones are one line with how often."""
    counts = {kind: sum(1 for one in entries if one.kind is kind) for kind in TraceKind}
    begun = counts[TraceKind.ENTERED] + counts[TraceKind.LOOP_ENTERED]
    if step.parallel is not None:
        begun += counts[TraceKind.DELEGATED]
    lines: list[str] = []
    if counts[TraceKind.DONE]:
        lines.append(f"ran {_times(counts[TraceKind.DONE])}{_passes(entries)}")
    if counts[TraceKind.ENTERED] > counts[TraceKind.DONE]:
        left = counts[TraceKind.ENTERED] - counts[TraceKind.DONE]
        lines.append(f"begun and not done {_times(left)}")
    if counts[TraceKind.PASS]:
        lines.append(f"{_count(counts[TraceKind.PASS], 'pass', 'passes')}")
    if counts[TraceKind.GATE] > counts[TraceKind.GATE_ANSWERED]:
        lines.append("gate: waits for its answer")
    said: dict[str, int] = {}
    for one in entries:
        if one.kind not in _QUIET:
            text = f"{_SAID[one.kind]}: {_line(one.text)}"
            said[text] = said.get(text, 0) + 1
    lines.extend(
        text + (f" ({_times(count)})" if count > 1 else "") for text, count in said.items()
    )
    if not entries:
        return "·", []
    done = counts[TraceKind.DONE] or (counts[TraceKind.LOOP_LEFT] and counts[TraceKind.PASS])
    if step.parallel is not None:
        done = counts[TraceKind.CHILD_ENDED]
    passed_over = counts[TraceKind.SKIPPED] or counts[TraceKind.LOOP_LEFT]
    return "✓" if done else "»" if begun or not passed_over else "-", lines


def _passes(entries: Sequence[Trace]) -> str:
    passes = dict.fromkeys(
        str(one.iteration) for one in entries if one.kind is TraceKind.DONE and one.iteration
    )
    return f", in pass {', '.join(passes)}" if passes else ""


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


# --- the drawing ---------------------------------------------------------------------------

_BOX = 440
_GAP = 34
_LINE = 16
_PAD = 10
_LANE = 14
_LEFT = 48
"""Room for the arrows around steps that may be skipped."""
_CHARACTER = 6.6
"""Width of a character in the notes' type; the title's is a little wider."""

_STYLE = """
:root { color-scheme: light dark; }
.back { fill: #ffffff; } .box { fill: #f6f8fa; stroke: #57606a; }
.frame { fill: none; stroke: #8250df; stroke-width: 1.5; }
.child { fill: #ddf4ff; stroke: #0969da; }
.title { fill: #1f2328; font: 600 13px sans-serif; }
.note { fill: #57606a; font: 11px ui-monospace, monospace; }
.arrow { fill: none; stroke: #57606a; } .dashed { stroke-dasharray: 5 4; }
.head { fill: #57606a; }
@media (prefers-color-scheme: dark) {
.back { fill: #0d1117; } .box { fill: #161b22; stroke: #8b949e; }
.frame { stroke: #a371f7; } .child { fill: #0c2d4a; stroke: #58a6ff; }
.title { fill: #e6edf3; } .note { fill: #9da7b1; }
.arrow { stroke: #8b949e; } .head { fill: #8b949e; }
}
""".strip()


@dataclass(frozen=True)
class _Box:
    """Where a step was drawn, in pixels."""

    left: int
    top: int
    right: int
    bottom: int


class _Drawing:
    """Boxes from top to bottom; skips pass on the left, jumps on the right, each in its lane."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._parts: list[str] = []
        self._boxes: dict[str, _Box] = {}
        rows = tuple(_rows(plan))
        self._jumps = [(row.step.id, jump.to) for row in rows for jump in row.step.jumps]
        self._right = _LEFT + _BOX
        self._width = self._right + _PAD * 2 + _LANE * (len(self._jumps) + 1)
        self._rows = {row.step.id: row for row in rows}

    def document(self) -> str:
        y = self._text(_LEFT, _PAD, "title", [_headline(self._plan)], _BOX) + _GAP // 2
        y = self._column(self._plan.steps, _LEFT, _BOX, y)
        for lane, (source, target) in enumerate(self._jumps, 1):
            self._jump(source, target, self._right + _LANE * lane)
        height = y + _PAD
        size = f'width="{self._width}" height="{height}" viewBox="0 0 {self._width} {height}"'
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
                f"<title>{_escaped(_line(self._plan.spec))}</title>",
                f"<style>{_STYLE}</style>",
                '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
                'markerHeight="7" orient="auto"><path class="head" d="M0 0L8 4L0 8z"/></marker>'
                "</defs>",
                f'<rect class="back" width="{self._width}" height="{height}"/>',
                *self._parts,
                "</svg>",
                "",
            ]
        )

    def _column(self, steps: Sequence[PlanStep], x: int, width: int, y: int) -> int:
        """Draw steps below each other; the bottom of the last."""
        before: _Box | None = None
        middle = x + width // 2
        for step in steps:
            if before is not None:
                y += _GAP
                self._arrow(f"M{middle} {before.bottom}V{y}")
            box = self._step(step, x, width, y)
            self._boxes[step.id] = box
            before, y = box, box.bottom
            if step.when is not None or step.synthesis_of is not None:
                y += _GAP // 3
                around = f"M{middle} {box.top - _GAP // 3}H{x - _LANE}V{y}H{middle}"
                self._arrow(around, dashed=True)
        return y

    def _step(self, step: PlanStep, x: int, width: int, y: int) -> _Box:
        row = self._rows[step.id]
        at = len(self._parts)
        title = f"{row.number} {_line(step.title)}"
        notes = [note for note in row.notes if not note.startswith("> ")]
        bottom = self._text(x + _PAD, y + _PAD, "title", [title], width - 2 * _PAD)
        bottom = self._text(x + _PAD, bottom, "note", notes, width - 2 * _PAD)
        if step.parallel is not None:
            bottom = self._children(step.parallel, x + _PAD, width - 2 * _PAD, bottom + _PAD)
        if step.loop is not None:
            inner = _LANE + 2 * _PAD
            bottom = self._column(step.loop.body, x + inner, width - inner - _PAD, bottom + _GAP)
        bottom += _PAD
        kind, radius = ("frame", 16) if step.loop else ("box", 4)
        # Below what stands in it.
        self._parts.insert(at, _rect(kind, _Box(x, y, x + width, bottom), radius))
        return _Box(x, y, x + width, bottom)

    def _children(self, parallel: Parallel, x: int, width: int, y: int) -> int:
        """The sessions of a parallel step beside each other, three to a row."""
        across = min(3, len(parallel.delegations))
        each = (width - _PAD * (across - 1)) // across
        for start in range(0, len(parallel.delegations), across):
            bottoms = []
            at = len(self._parts)
            some = parallel.delegations[start : start + across]
            for column, one in enumerate(some):
                left = x + column * (each + _PAD)
                notes = [one.spec, *([f"? {in_words(one.when)}"] if one.when else [])]
                below = self._text(left + 6, y + 6, "title", [one.name], each - 12)
                bottoms.append(self._text(left + 6, below, "note", notes, each - 12))
            for column in range(len(some)):
                left = x + column * (each + _PAD)
                box = _Box(left, y, left + each, max(bottoms) + 6)
                self._parts.insert(at, _rect("child", box, 4))
            y = max(bottoms) + 6 + _PAD
        return y - _PAD

    def _text(self, x: int, y: int, kind: str, lines: Sequence[str], width: int) -> int:
        """Draw texts, broken to a width; the bottom of the last line."""
        characters = max(8, int(width / (_CHARACTER if kind == "note" else _CHARACTER * 1.15)))
        for line in lines:
            for part in _broken(_line(line), characters):
                y += _LINE
                self._parts.append(
                    f'<text class="{kind}" x="{x}" y="{y - 4}">{_escaped(part)}</text>'
                )
        return y

    def _jump(self, source: str, target: str, lane: int) -> None:
        start, end = self._boxes[source], self._boxes.get(target)
        if end is not None:
            self._arrow(f"M{start.right} {start.bottom - 8}H{lane}V{end.top + 8}H{end.right}", True)

    def _arrow(self, path: str, dashed: bool = False) -> None:
        kind = "arrow dashed" if dashed else "arrow"
        self._parts.append(f'<path class="{kind}" d="{path}" marker-end="url(#head)"/>')


def _broken(text: str, characters: int) -> list[str]:
    """The text in lines of a length, between words where that is possible."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and len(lines[-1]) + 1 + len(word) <= characters:
            lines[-1] += f" {word}"
        else:
            lines += [word[at : at + characters] for at in range(0, len(word), characters)]
    return lines


def _escaped(text: str) -> str:
    return text.translate({ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"})


def _rect(kind: str, box: _Box, radius: int) -> str:
    return (
        f'<rect class="{kind}" x="{box.left}" y="{box.top}" width="{box.right - box.left}" '
        f'height="{box.bottom - box.top}" rx="{radius}"/>'
    )
