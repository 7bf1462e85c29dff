"""What an operator can do to any of our workflows: pause, resume, mend a cause."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from temporalio import workflow

from worktrain.workflows import attributes
from worktrain.workflows.ask import CallError, ask

with workflow.unsafe.imports_passed_through():
    from worktrain.contracts.base import Value
    from worktrain.contracts.calls import Call
    from worktrain.contracts.failure import TREATMENT, Failure, Treatment
    from worktrain.contracts.steering import Order

Request = TypeVar("Request", bound=Value)
Reply = TypeVar("Reply")


class Operated:
    """A workflow that can be paused, and that holds still where only a person can help.

    Pausing is ours, not the server's: SDK 1.35 cannot list workflows that the server paused.
    """

    def __init__(self) -> None:
        self._paused_by: str | None = None
        self._held: Failure | None = None
        self._waited_s = 0.0
        self._status = "running"

    @workflow.update(description="Stand still before the next call.")
    def pause(self, order: Order) -> str:
        self._paused_by = order.by
        self._show()
        return "paused: what is running now is finished first"

    @pause.validator
    def _check_pause(self, order: Order) -> None:
        if self._paused_by is not None:
            raise ValueError(f"it was paused by {self._paused_by} already")

    @workflow.update(description="Go on after a pause, or after the cause of a hold was mended.")
    def resume(self, order: Order) -> str:
        mended, self._held, self._paused_by = self._held, None, None
        self._show()
        return f"trying again: {mended.said}" if mended else "going on"

    @resume.validator
    def _check_resume(self, order: Order) -> None:
        if self._paused_by is None and self._held is None:
            raise ValueError("it is neither paused nor held")

    async def _ask(
        self,
        call: Call[Request, Reply],
        request: Request,
        *,
        key: str,
        summary: str,
        queue: str | None = None,
    ) -> Reply:
        """`ask`, but a failure that a person can mend is held until they say `resume`."""
        while True:
            if self._paused_by is not None:
                with self._waiting("paused"):
                    await workflow.wait_condition(lambda: self._paused_by is None)
            try:
                return await ask(call, request, key=key, summary=summary, queue=queue)
            except CallError as error:
                if TREATMENT[error.failure.kind] is Treatment.END:
                    raise
                self._held = error.failure
            with self._waiting("held"):
                await workflow.wait_condition(lambda: self._held is None)

    @contextmanager
    def _waiting(self, status: str) -> Iterator[None]:
        """Time in which nothing is done for lack of a person; it counts against no limit."""
        since = workflow.time()
        self._set_status(status)
        try:
            yield
        finally:
            self._waited_s += workflow.time() - since
        self._set_status("running")

    def _set_status(self, status: str) -> None:
        self._status = status
        workflow.upsert_search_attributes([attributes.STATUS.value_set(status)])
        self._show()

    def _show(self) -> None:
        """Put what is happening where the Temporal UI shows it."""
        lines = [f"**{self._status}**"]
        if self._held is not None:
            lines.append(f"Held: {self._held.said}\n\nMend the cause, then `resume`.")
        if self._paused_by is not None:
            lines.append(f"Paused by {self._paused_by}.")
        lines += self._details()
        # A pair of dollar signs would be shown as a formula.
        workflow.set_current_details("\n\n".join(lines).replace("$", "USD "))

    def _details(self) -> list[str]:
        """What this kind of workflow adds to its current details, as Markdown paragraphs."""
        raise NotImplementedError
