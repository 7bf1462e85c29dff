"""Looking at what may have changed outside while the work went on. Nothing is changed by it."""

import asyncio
from pathlib import Path

from worktrain.activities.door import implements
from worktrain.adapters.stores import Store
from worktrain.adapters.workspaces import Workspaces
from worktrain.contracts.calls import LOOK_AROUND, SHOW_CHANGE
from worktrain.contracts.delivery import (
    LookRequest,
    ShowChangeRequest,
    ShownChange,
    Surroundings,
)
from worktrain.contracts.task import Task
from worktrain.coordinators.intent import TASK_BYTES_MAX, edited

FILE_BYTES_MAX = 2 * TASK_BYTES_MAX
"""A front matter and white space come on top of a task."""


class LookingActivities:
    def __init__(self, store: Store, workspaces: Workspaces) -> None:
        self._store = store
        self._workspaces = workspaces

    @implements(LOOK_AROUND)
    async def look_around(self, request: LookRequest) -> Surroundings:
        """The base, the work branch, the task and the suspensions as they are now."""
        base = await self._workspaces.base(request.repo, request.base.branch)
        foreign = None
        if request.branch is not None:
            foreign = await self._workspaces.foreign(request.repo, request.branch, request.known)
        suspended = [
            path
            for suspension in await self._store.suspensions(request.repo)
            for path in suspension.paths
        ]
        return Surroundings(
            base=base.at,
            foreign=foreign,
            task=await _edit(request.task),
            suspended=tuple(dict.fromkeys(suspended)),
        )

    @implements(SHOW_CHANGE)
    async def show_change(self, request: ShowChangeRequest) -> ShownChange:
        change = await self._workspaces.diff(request.repo, request.before, request.after)
        return ShownChange(digest=await self._store.put_blob(change))


async def _edit(task: Task) -> Task | None:
    """The task as its file has it now, if that says something else. A file that is gone, is on
    another host, or cannot be read says nothing."""
    if not task.place:
        return None
    try:
        text = await asyncio.to_thread(_text, Path(task.place))
        return edited(task, text)
    except (OSError, ValueError):
        return None


def _text(place: Path) -> str:
    if not place.is_file():
        # A pipe or a device would be waited for.
        raise FileNotFoundError(place)
    with place.open("rb") as file:
        return file.read(FILE_BYTES_MAX + 1).decode("utf-8-sig")
