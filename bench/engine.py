"""What the engine costs: an advance, and how it grows with the session; a compilation; a state.

Everything in one process and one run, so that ratios mean something whatever else the machine does:
sessions of 10, 100 and 1,000 steps, played by turns.
"""

import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial

from worktrain.access import specs
from worktrain.contracts.base import digest
from worktrain.contracts.plan import Plan, PlanStep
from worktrain.contracts.session import (
    AskModel,
    Finish,
    Happened,
    SessionOpened,
    SessionRequest,
    SessionState,
    Started,
    TurnTaken,
)
from worktrain.contracts.task import Task
from worktrain.contracts.turn import StopReason, ToolCall, TurnReply, Usage
from worktrain.contracts.workspace import Limits, ModelNames, SandboxRules
from worktrain.engine.compile import compile_spec
from worktrain.engine.machine import advance

LENGTHS = (10, 100, 1000)
ROUNDS = 7
NOTES = "Looked at the code, changed one function, ran its tests: all twelve of them passed. " * 7
"""About 600 bytes, what WorkRail's figures were measured with."""


def main() -> int:
    """Print the figures as a table."""
    for length in LENGTHS:
        play(state_of(length))
    costs: dict[int, list[float]] = {length: [] for length in LENGTHS}
    for _ in range(ROUNDS):
        for length in LENGTHS:
            costs[length].append(advance_us(length))
    best = {length: statistics.median(found) for length, found in costs.items()}
    print("advances of a session in which each turn completes a step:")
    for length, cost_us in best.items():
        ratio = cost_us / best[LENGTHS[0]]
        print(
            f"  {length:5} steps: {cost_us:7.1f} us an advance, {1e6 / cost_us:8,.0f} a second, "
            f"{ratio:4.2f} x"
        )
    print("state at the end of a session:")
    for length in LENGTHS:
        taken, written = size_of(length)
        print(
            f"  {length:5} steps: {taken / 1024:7.1f} KiB in memory, {written / 1024:7.1f} as JSON"
        )
    print("compilation:")
    for name, steps, cost_ms in compilations():
        print(f"  {name:28} {steps:3} steps {cost_ms:7.1f} ms")
    return 0


def advance_us(length: int) -> float:
    """Microseconds of one advance, on average over a whole session."""
    state = state_of(length)
    began = time.perf_counter()
    count = play(state)[1]
    return (time.perf_counter() - began) / count * 1e6


def play(state: SessionState) -> tuple[SessionState, int]:
    """Complete every step in one turn each; the last state and the number of advances."""
    state, command = advance(state, Happened(event=Started(), worked_s=0))
    count = 1
    while isinstance(command, AskModel):
        reply = TurnReply(
            head=f"a{count}",
            stop=StopReason.TOOL_USE,
            calls=(
                ToolCall(
                    id=f"c{count}",
                    name="complete_step",
                    preview="complete_step",
                    input={"notes": NOTES, "context": {"number": count}},
                ),
            ),
            usage=Usage(input=10, output=10),
        )
        state, command = advance(state, Happened(event=TurnTaken(reply=reply), worked_s=0))
        count += 1
    assert isinstance(command, Finish), command
    assert command.ending == "completed", command
    return state, count


def state_of(length: int) -> SessionState:
    steps = tuple(
        PlanStep(
            id=f"step-{number:04}",
            title=f"Step {number}",
            when={"var": "number", "not_equals": -1},
            reads=("number",),
        )
        for number in range(length)
    )
    plan = Plan(spec="bench", model_tier="mid", steps=steps)
    request = SessionRequest(
        session="task/bench/coding-1",
        pipeline="task/bench",
        phase="coding",
        spec="bench",
        repo="/bench",
        base="0" * 40,
        at="0" * 40,
        branch=None,
        task=Task(source="typed", title="Bench"),
        sections=(),
        limits=Limits(turns_max=2000),
        models=ModelNames(),
        model=None,
        sandbox=SandboxRules(),
    )
    opened = SessionOpened(plan=plan, script=digest("s"), context=digest("c"))
    return SessionState(request=request, opened=opened)


def size_of(length: int) -> tuple[int, int]:
    """Bytes of the last state beyond those of the first: in memory, and as JSON."""
    before = state_of(length)
    written = len(before.model_dump_json())
    tracemalloc.start()
    after, _ = play(before)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return taken, len(after.model_dump_json()) - written


def compilations() -> Sequence[tuple[str, int, float]]:
    """The slowest three of the library: id, steps, milliseconds."""
    catalogue = specs()
    words, around = catalogue.words(), catalogue.around()
    found = []
    for entry in catalogue.entries():
        spec = catalogue.spec(entry.id)
        steps = len(compile_spec(spec, words, around).plan.steps)
        cost_ms = timed(partial(compile_spec, spec, words, around)) * 1e3
        found.append((entry.id, steps, cost_ms))
    return sorted(found, key=lambda one: -one[2])[:3]


def timed(act: Callable[[], object]) -> float:
    """Seconds, the median of five."""
    spent = []
    for _ in range(5):
        began = time.perf_counter()
        act()
        spent.append(time.perf_counter() - began)
    return statistics.median(spent)


if __name__ == "__main__":
    sys.exit(main())
