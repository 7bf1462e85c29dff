"""`status`, `show` and `logs`: what is and what was, read without changing anything."""

import asyncio
import json
import os
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from worktrain import access, embedded
from worktrain.cli import account, picture, screen, tracing
from worktrain.cli.exits import Exit
from worktrain.cli.standing import Standing, exit_of, facts, listed, spent, word
from worktrain.client import Client, SessionTrace
from worktrain.contracts.artifact import ReviewVerdict
from worktrain.contracts.base import digest
from worktrain.contracts.pipeline import PipelineResult, PipelineRow, PipelineView
from worktrain.contracts.proof import Proof
from worktrain.contracts.session import SessionClosed
from worktrain.settings import Settings, external, load

ROWS_MAX = 50
SESSION_WIDTH = 12
TEXT_MAX = 600
POLL_S = 0.5


@click.command()
@click.argument("part", metavar="[ID]", required=False)
@screen.json_option
def status(part: str | None, as_json: bool) -> Exit:
    """List pipelines, newest first; with ID (any clear part of it) show how one stands.

    With ID the exit code is that of `run`: 0 merged or at work, 1, 3 or 4.
    """
    settings = load(os.environ)
    if part is None:
        return asyncio.run(_list(settings, as_json))
    return asyncio.run(_stand(settings, part, as_json))


@click.command()
@click.argument("part", metavar="ID")
@click.option("--trace", "as_trace", is_flag=True, help="Show every decision, and why.")
@click.option("--graph", "as_graph", is_flag=True, help="Draw which steps ran or were skipped.")
@screen.json_option
def show(part: str, as_trace: bool, as_graph: bool, as_json: bool) -> Exit:
    """Show everything that a pipeline did: phases, notes, artifacts, findings, checks, proof.

    With --trace or --graph: why its sessions went the way they went. ID may then be that of one
    session.
    """
    if as_trace and as_graph:
        raise click.UsageError("Say --trace or --graph, not both at once.")
    settings = load(os.environ)
    if as_trace:
        values, text = tracing.as_values, tracing.printed
    elif as_graph:
        values, text = tracing.as_graphs, tracing.drawn
    else:
        return asyncio.run(_show(settings, part, as_json))
    sessions = asyncio.run(_traces(settings, part))
    if as_json:
        screen.emit(values(sessions))
    else:
        text(sessions)
    return Exit.DONE


@click.command()
@click.argument("part", metavar="ID")
@click.option("--follow", is_flag=True, help="Go on until the pipeline has ended.")
@click.option("--trace", "with_trace", is_flag=True, help="Print what was decided as well.")
@screen.json_option
def logs(part: str, follow: bool, with_trace: bool, as_json: bool) -> Exit:
    """Print what the agents of a pipeline said and did, oldest first."""
    printer = _Entries() if as_json else _Printed()
    try:
        asyncio.run(_log(load(os.environ), part, follow, with_trace, printer))
    except KeyboardInterrupt:
        printer.stop()
    return Exit.DONE


async def _list(settings: Settings, as_json: bool) -> Exit:
    async with access.reach(settings, os.environ) as client:
        rows = await client.pipelines(ROWS_MAX)
        standings = await asyncio.gather(*(_standing(settings, client, row) for row in rows))
    if as_json:
        screen.emit([listed(*pair) for pair in zip(rows, standings, strict=True)])
        return Exit.DONE
    if not rows:
        screen.say("there are no pipelines yet; `worktrain run TASK` begins one")
        return Exit.DONE
    now = time.time()
    screen.console().print(
        screen.table(
            ("id", "title", "stands", "phase", "cost", "age"),
            [
                (
                    row.id,
                    screen.line(row.title, 50),
                    row.ending or word(standing),
                    standing.phase if isinstance(standing, PipelineView) else "",
                    screen.usd(spent(standing)[0]),
                    screen.span(now - row.started_s),
                )
                for row, standing in zip(rows, standings, strict=True)
            ],
        )
    )
    return Exit.DONE


async def _standing(settings: Settings, client: Client, row: PipelineRow) -> Standing:
    """How a row stands; without a worker nobody can say, and waiting for one would be long."""
    if row.result is not None:
        return row.result
    if external(os.environ) is None and embedded.status(settings).worker is None:
        return None
    return await client.view(row.id)


async def _stand(settings: Settings, part: str, as_json: bool) -> Exit:
    async with access.reach(settings, os.environ) as client:
        name = await client.resolve(part)
        standing = await client.view(name)
        row = await client.row(name)
    page = access.page_of(settings, os.environ, name)
    if as_json:
        screen.emit({**facts(name, standing), "ui": page})
        return exit_of(standing)
    match standing:
        case None:
            screen.say(f"{name}: nobody can say how it stands, because no worker answers.")
            screen.say("`worktrain up` starts one; the work then goes on where it was")
        case PipelineResult():
            picture.ended(standing, row.repo if row else None)
        case PipelineView():
            picture.running(standing, page)
    return exit_of(standing)


async def _show(settings: Settings, part: str, as_json: bool) -> Exit:
    async with access.reach(settings, os.environ) as client:
        name = await client.resolve(part)
        row = await client.row(name)
        standing = await client.view(name)
        sessions = await client.sessions(name)
        merged = standing.merged_commit if isinstance(standing, PipelineResult) else None
        note = await client.proof(merged) if merged else None
    if as_json:
        screen.emit(
            {
                **facts(name, standing),
                **(row.model_dump(mode="json", exclude={"result", "ending"}) if row else {}),
                "sessions": [closed.model_dump(mode="json") for closed in sessions],
                "proof_record": json.loads(note) if note else None,
            }
        )
        return Exit.DONE
    if row:
        screen.say(f"{name}: {row.title}")
        screen.say(f"{row.kind} in {row.repo}, began {screen.clock(row.started_s)}")
    for closed in sessions:
        _session(closed)
    if isinstance(standing, PipelineResult):
        account.given(standing)
    elif isinstance(standing, PipelineView) and standing.route is not None:
        account.route(standing.route)
    if note:
        told = isinstance(standing, PipelineResult) and bool(standing.decisions)
        _proof(note, decisions=not told)
    screen.say()
    if isinstance(standing, PipelineResult):
        picture.ended(standing, row.repo if row else None)
        picture.go_on_from(standing.phases)
    elif isinstance(standing, PipelineView):
        picture.running(standing, access.page_of(settings, os.environ, name))
    else:
        screen.say("no worker answers, so this is what the store knows")
    return Exit.DONE


async def _traces(settings: Settings, part: str) -> tuple[SessionTrace, ...]:
    async with access.reach(settings, os.environ) as client:
        return await client.traces(part)


def _session(closed: SessionClosed) -> None:
    record = closed.record
    cost = screen.usd(record.cost_microdollars / 1e6)
    screen.say(f"\n== {closed.session}: {record.ending}, {record.turns} turns, {cost}")
    screen.say(f"spec {record.spec}, model {record.model or 'none'}: {closed.why}")
    for number, note in enumerate(closed.notes, 1):
        if note.strip():
            screen.say(f"step {number}: {note}")
    for artifact in closed.artifacts:
        screen.say(f"-- {artifact.kind}")
        if isinstance(artifact, ReviewVerdict):
            _verdict(artifact)
        else:
            for key, value in artifact.model_dump(mode="json", exclude_defaults=True).items():
                _field(key, value)


def _verdict(verdict: ReviewVerdict) -> None:
    screen.say(f"  {verdict.verdict} ({verdict.confidence} confidence): {verdict.summary}")
    for finding in verdict.findings:
        line = f":{finding.startLine}" if finding.startLine else ""
        where = f" [{finding.file}{line}]" if finding.file else ""
        screen.say(f"  - {finding.severity}: {finding.summary}{where}")
        if finding.remediation:
            screen.say(f"    {finding.remediation}")


def _field(key: str, value: Any) -> None:
    if not isinstance(value, list):
        screen.say(f"  {key}: {value}")
        return
    screen.say(f"  {key}:")
    for item in value:
        text = ": ".join(str(part) for part in item.values()) if isinstance(item, dict) else item
        screen.say(f"  - {text}")


def _proof(note: str, *, decisions: bool) -> None:
    proof = Proof.model_validate(json.loads(note)["proof"])
    screen.say(f"\n== proof {digest(note)}")
    for pair in proof.verification.checks:
        screen.say(
            f"  check {pair.name}: base {pair.base.ending}, candidate {pair.candidate.ending} "
            f"in {pair.candidate.seconds:.1f} s ({pair.candidate.command})"
        )
    for decision in proof.decisions if decisions else ():
        why = f": {decision.reason}" if decision.reason else ""
        screen.say(f"  {decision.by} {decision.answer} {decision.gate}{why}")
    for notice in proof.notices:
        screen.say(f"  note: {notice}")


# --- logs ---------------------------------------------------------------------------------


class _Printed:
    """Entries as lines."""

    def entries(self, lines: Sequence[tracing.Line]) -> None:
        for entry in lines:
            spent = (
                f"  ({screen.count(entry.usage.sent)}→{screen.count(entry.usage.output)} tok, "
                f"{screen.usd(entry.cost_microdollars / 1e6)})"
                if entry.usage
                else ""
            )
            at = datetime.fromtimestamp(entry.at_s).strftime("%H:%M:%S")
            session = entry.session.rpartition("/")[2].ljust(SESSION_WIDTH)
            failed = "" if entry.ok else " failed"
            kind = f"{entry.kind}{failed}".ljust(5)
            screen.say(f"{at} {session} {kind} {screen.line(entry.text, TEXT_MAX)}{spent}")

    def stop(self) -> None:
        """Lines need no end."""


class _Entries(_Printed):
    """Entries as one JSON array, an element a line, so that it can be read while it grows."""

    def __init__(self) -> None:
        self._mark = "["

    def entries(self, lines: Sequence[tracing.Line]) -> None:
        for entry in lines:
            click.echo(f"{self._mark}{json.dumps(entry.model_dump(mode='json'))}", nl=False)
            self._mark = ",\n"

    def stop(self) -> None:
        click.echo("[]" if self._mark == "[" else "]")


async def _log(
    settings: Settings, part: str, follow: bool, with_trace: bool, printer: _Printed
) -> None:
    async with access.reach(settings, os.environ) as client:
        name = await client.resolve(part)
        looking = asyncio.create_task(client.view(name))
        decisions = tracing.Decisions()
        after, over = 0, not follow
        while True:
            after, lines = await client.log(name, after)
            # They are stored together with an entry of the log, so nothing is new without one.
            decided = await client.decided(name) if with_trace and lines else ()
            printer.entries(decisions.among(lines, decided))
            if over and not lines:
                break
            # A look takes long when no worker answers; the log must not wait for it.
            if not over and looking.done():
                over = isinstance(looking.result(), PipelineResult)
                looking = looking if over else asyncio.create_task(client.view(name))
            if not over:
                await asyncio.sleep(POLL_S)
        looking.cancel()
    printer.stop()
