"""A pipeline as a person sees it: while it works, where it waits, how it ended."""

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from worktrain.cli import screen
from worktrain.cli.standing import Standing, Waiting, spent, waiting, word
from worktrain.contracts.pipeline import PipelineResult, PipelineView, Told
from worktrain.contracts.proof import PhaseRecord
from worktrain.contracts.route import Phase
from worktrain.contracts.session import SessionView

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live

STANDS = {
    "gate": "waits for you at gate {id}",
    "question": "waits for your answer to {id}",
    "held": "is held ({id})",
    "paused": "is paused",
}
CHECKPOINTS_MAX = 10
TOLD_MAX = 500
PHASE_COLUMNS = ("phase", "ending", "turns", "tokens", "cost", "model")


def phases(records: tuple[PhaseRecord, ...]) -> Any:
    return screen.table(
        PHASE_COLUMNS,
        [
            (
                record.phase,
                record.ending,
                str(record.turns),
                screen.count(record.usage.total),
                screen.usd(record.cost_microdollars / 1e6),
                record.model,
            )
            for record in records
        ],
    )


def doing(view: PipelineView) -> str:
    """One line: phase, step, turn and what is being done."""
    running = view.running
    if running is None:
        return ": ".join(part for part in (view.phase, view.doing) if part) or "opening"
    step = f"step {running.step_number} of {running.steps}" if running.steps else ""
    # The model's own turn names its number itself.
    named = not running.turn or running.doing.startswith("turn ")
    turn = "" if named else f"turn {running.turn}"
    parts = (running.phase, step, running.step, turn, running.doing)
    return screen.line(" · ".join(part for part in parts if part))


def ended(result: PipelineResult, repo: str | None) -> None:
    """Print how it ended, what it cost and how to check it."""
    why = result.why.splitlines() or [""]
    # A note to a person has a line for each thing that it says.
    screen.say(f"{result.id} ended {result.ending}:{'' if why[1:] else f' {why[0]}'}")
    for row in why if why[1:] else ():
        screen.say(f"  {row}")
    if result.phases:
        screen.console().print(phases(result.phases))
    screen.say(f"{screen.usd(result.cost_usd)}, {screen.count(result.tokens)} tokens")
    if result.merged_commit:
        where = f" --repo {repo}" if repo else ""
        screen.say(f"merged commit {result.merged_commit}\ntree          {result.tree}")
        screen.say(f"check it with: worktrain verify {result.merged_commit}{where}")
    if result.branch:
        screen.say(f"the work is kept on branch {result.branch}")
    screen.say(f"more: worktrain show {result.id}")


def running(view: PipelineView, page: str | None) -> None:
    """Print what is done, what is being done, and what it waits for."""
    screen.say(f"{view.id}: {view.title}")
    if view.records:
        screen.console().print(phases(view.records))
    wait = waiting(view)
    if wait is None:
        screen.say(doing(view))
    if view.sessions[1:]:
        screen.say("\n  ".join(("sessions at work side by side:", *view.sessions)))
    for one in view.told:
        screen.say(told(one))
    if view.running is not None:
        _at_work(view, view.running)
    cost_usd, tokens = spent(view)
    passes = f", fix pass {view.passes}" if view.passes else ""
    screen.say(f"{screen.usd(cost_usd)}, {screen.count(tokens)} tokens{passes}")
    if page:
        screen.say(page)
    if wait is not None:
        waits(view.id, wait)


def _at_work(view: PipelineView, session: SessionView) -> None:
    if session.children:
        screen.say("\n  ".join(("sessions at work for it:", *session.children)))
    # A child that waits is shown in its parent's place, and only the parent can be put back.
    if session.session != view.session or not session.checkpoints:
        return
    earlier = len(session.checkpoints) - CHECKPOINTS_MAX
    more = f", and {earlier} earlier" if earlier > 0 else ""
    screen.say(f"checkpoints{more} (worktrain rewind {view.id} CHECKPOINT --reason WHY):")
    for point in session.checkpoints[-CHECKPOINTS_MAX:]:
        screen.say(f"  {screen.line(point)}")


def told(one: Told) -> str:
    """One line: what an operator should know, and in which phase it was said."""
    return screen.line(f"told in {one.at}: {one.said}", TOLD_MAX)


def go_on_from(records: tuple[PhaseRecord, ...]) -> None:
    """Print the commands that begin another session from the last that did the work."""
    session = next(
        (one.session for one in reversed(records) if one.phase != Phase.RETROSPECTIVE), None
    )
    if session is None:
        return
    screen.say("go on from its last session, or from another one above:")
    screen.say(f"  worktrain fork {session} STEP --reason WHY")
    screen.say(f"  worktrain continue {session} TEXT")


def waits(name: str, wait: Waiting) -> None:
    """Print exactly what it waits for, and with which commands it is answered."""
    screen.say(f"{name} {STANDS[wait.kind].format(id=wait.id)}")
    screen.say("".join(f"  {row}\n" for row in wait.text.splitlines()).rstrip("\n"))
    screen.say("answer with:")
    for command in wait.commands:
        screen.say(f"  {command}")


@dataclass
class Panel(AbstractContextManager["Panel"]):
    """A live picture on a terminal; it moves between two looks as well."""

    name: str
    title: str
    started_s: float
    page: str | None
    _standing: Standing = None
    _looks: int = 0
    _live: "Live | None" = None

    def __enter__(self) -> "Panel":
        from rich.live import Live

        self._live = Live(
            get_renderable=self.picture, console=screen.console(), refresh_per_second=4
        )
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def seen(self, standing: Standing) -> None:
        self._looks += 1
        if standing is not None:
            self._standing = standing

    def picture(self) -> "Group":
        from rich.console import Group
        from rich.text import Text

        view, elapsed = self._standing, screen.span(time.time() - self.started_s)
        rows: list[Any] = [Text(screen.line(self.title), style="bold"), Text(self.name)]
        if isinstance(view, PipelineView):
            if view.records:
                rows.append(phases(view.records))
            rows.append(Text(f"▶ {doing(view)}", style="cyan"))
            passes = f" · fix pass {view.passes}" if view.passes else ""
        else:
            said = "waiting for a worker to answer" if self._looks else "starting"
            rows.append(Text(word(view) if view else said))
            passes = ""
        cost_usd, tokens = spent(view)
        rows.append(
            Text(
                f"{screen.count(tokens)} tokens · {screen.usd(cost_usd)} · {elapsed}{passes}",
                style="dim",
            )
        )
        if self.page:
            rows.append(Text(self.page, style="dim", overflow="fold"))
        rows.append(Text("Ctrl-C leaves it working", style="dim"))
        return Group(*rows)


class _Undrawn(AbstractContextManager["_Undrawn"]):
    """What leaves the terminal as it is."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """There is nothing to put back."""


class Lines(_Undrawn):
    """One line for each change, where there is no terminal to draw on."""

    def __init__(self) -> None:
        self._records = 0
        self._told = 0
        self._doing = ""

    def seen(self, standing: Standing) -> None:
        for text in self.changes(standing):
            screen.say(f"{screen.clock(time.time())} {text}")

    def changes(self, standing: Standing) -> list[str]:
        """What is different from the last look."""
        news: list[str] = []
        if standing is None:
            return self._now("waiting for a worker to answer")
        records = standing.records if isinstance(standing, PipelineView) else standing.phases
        for record in records[self._records :]:
            news.append(
                f"{record.phase} {record.ending}: {record.turns} turns, "
                f"{screen.usd(record.cost_microdollars / 1e6)}"
            )
        self._records = max(self._records, len(records))
        news += [told(one) for one in standing.told[self._told :]]
        self._told = max(self._told, len(standing.told))
        if isinstance(standing, PipelineView) and not waiting(standing):
            news += self._now(doing(standing))
        return news

    def _now(self, text: str) -> list[str]:
        before, self._doing = self._doing, text
        return [] if text == before else [text]


class Silence(_Undrawn):
    """For `--json`: only the last word counts."""

    def seen(self, standing: Standing) -> None:
        """Nothing is printed before the end."""
