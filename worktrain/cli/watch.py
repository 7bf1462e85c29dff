"""Looks at a pipeline again and again, and brings back a server or worker that has died."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from worktrain import access, embedded
from worktrain.cli.standing import Standing, waiting
from worktrain.client import Client
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.pipeline import PipelineResult, PipelineView
from worktrain.settings import Settings, external

POLL_S = 0.5
PATIENCE_S = 1.5
"""How long an answer may take before it is looked whether anybody is there to give it."""

Answer = TypeVar("Answer")


async def follow(
    settings: Settings, name: str, seen: Callable[[Standing], None]
) -> PipelineView | PipelineResult:
    """How a pipeline stands once it has ended or waits for a person; `seen` is told each look.

    Raises `AdapterError` when what has died cannot be brought back, or was ended on purpose.
    """
    since_s = time.time()
    while True:
        address = (access.connection(settings, os.environ) or {}).get("target_host")
        async with access.reach(settings, os.environ) as client:
            while True:
                standing = await _look(client, settings, name, since_s)
                seen(standing)
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    # Ctrl-C came while something below took the cancellation for a lost call.
                    raise asyncio.CancelledError
                if isinstance(standing, PipelineResult):
                    return standing
                if isinstance(standing, PipelineView) and waiting(standing):
                    return standing
                now = (access.connection(settings, os.environ) or {}).get("target_host")
                if now != address:
                    break
                await asyncio.sleep(POLL_S)


async def _look(client: Client, settings: Settings, name: str, since_s: float) -> Standing:
    looking = asyncio.create_task(client.view(name))
    try:
        while not (await asyncio.wait({looking}, timeout=PATIENCE_S))[0]:
            await _revive(settings, since_s)
        if looking.result() is None:
            await _revive(settings, since_s)
        return looking.result()
    finally:
        looking.cancel()


async def _revive(settings: Settings, since_s: float) -> None:
    """Start again what has died of our own; a worker alone is its supervisor's to start."""
    if external(os.environ) is not None:
        return
    if access.taken_down_since(settings, since_s):
        raise AdapterError(
            FailureKind.UNREACHABLE,
            "Watching stopped, because somebody ran `worktrain down`; after `worktrain up` the "
            "pipeline goes on where it was.",
        )
    running = embedded.status(settings)
    if running.server is None or running.supervisor is None:
        await _in_thread(partial(embedded.ensure, settings, os.environ))


async def _in_thread(act: Callable[[], Answer]) -> Answer:
    """Like `asyncio.to_thread`, but Ctrl-C does not wait for the thread."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Answer] = loop.create_future()

    def settle(value: Answer | None, error: BaseException | None) -> None:
        if answer.cancelled():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(value)  # type: ignore[arg-type]

    def work() -> None:
        value, failed = None, None
        try:
            value = act()
        except Exception as error:
            failed = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, value, failed)

    threading.Thread(target=work, daemon=True).start()
    return await answer
