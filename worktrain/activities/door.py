"""The activity side of a call: types that must match, failures that Temporal understands."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar, cast, get_type_hints

from temporalio import activity
from temporalio.exceptions import ApplicationError

from worktrain.contracts.base import Value
from worktrain.contracts.calls import Call
from worktrain.contracts.failure import TREATMENT, AdapterError, Treatment

Method = TypeVar("Method", bound=Callable[..., Awaitable[Any]])
Request = TypeVar("Request", bound=Value)
Reply = TypeVar("Reply")

BEAT_S = 1.0
"""How often a long call shows that its process lives."""


def implements(call: Call[Request, Reply]) -> Callable[[Method], Method]:
    """Make a method the one activity that answers `call`.

    The method takes the request and, if it has a parameter of that name, `progress`: a function
    that is told in a few words how far it is. Raises TypeError, at import, when the types are
    not those of the call.
    """

    def bind(method: Method) -> Method:
        hints = get_type_hints(method, include_extras=True)
        takes = [name for name in inspect.signature(method).parameters if name != "self"]
        if hints.get(takes[0]) != call.request or hints.get("return") != call.reply:
            raise TypeError(
                f"{method.__qualname__} must take {call.request} and answer {call.reply}, "
                f"as {call.name} says"
            )
        wants_progress = "progress" in takes

        # Its parameters are spelled out: Temporal reads the types of the request from them.
        async def guarded(self: object, request: Value) -> object:
            latest = [call.name]
            beats = _beating(latest)
            try:
                if wants_progress:
                    return await method(self, request, progress=latest.append)
                return await method(self, request)
            except AdapterError as error:
                raise _told(error) from error
            finally:
                if beats is not None:
                    beats.cancel()

        guarded.__annotations__ = {takes[0]: call.request, "request": call.request}
        named = wraps(method, assigned=("__doc__", "__name__", "__qualname__", "__module__"))(
            guarded
        )
        del named.__wrapped__
        return cast("Method", activity.defn(name=call.name)(named))

    return bind


def _beating(latest: list[str]) -> "asyncio.Task[None] | None":
    """Beat while the call runs, where its limits ask for it; every beat says how far it is."""
    if activity.info().heartbeat_timeout is None:
        return None

    async def beat() -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            del latest[:-1]
            activity.heartbeat(latest[-1])

    return asyncio.create_task(beat())


def _told(error: AdapterError) -> ApplicationError:
    wait = error.retry_after_s
    return ApplicationError(
        error.said,
        type=error.kind.value,
        non_retryable=TREATMENT[error.kind] is not Treatment.RETRY,
        next_retry_delay=timedelta(seconds=wait) if wait is not None else None,
    )
