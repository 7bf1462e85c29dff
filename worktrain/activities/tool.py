"""One tool call: run once, or said to have been interrupted."""

import json
from collections.abc import Callable
from pathlib import Path

from worktrain.activities.door import implements
from worktrain.activities.sandbox import Sandboxes, readable
from worktrain.activities.tools import Tools
from worktrain.adapters.stores import Store
from worktrain.contracts.calls import RUN_TOOL
from worktrain.contracts.record import ToolOutput
from worktrain.contracts.tool import READ_ONLY
from worktrain.contracts.turn import ToolReply, ToolRequest, ToolUseBlock
from worktrain.engine.converse import PREVIEW_MAX, shortened

TIMEOUT_S_MAX = 1800
"""The longest that a command may ask for."""


class ToolActivities:
    """`outputs`: directory that keeps the full output of commands, by session."""

    def __init__(self, store: Store, sandboxes: Sandboxes, outputs: Path) -> None:
        self._store = store
        self._sandboxes = sandboxes
        self._outputs = outputs

    @implements(RUN_TOOL)
    async def run_tool(self, request: ToolRequest, progress: Callable[[str], None]) -> ToolReply:
        """Carry out the call that message `head` asked for, and store what it answered."""
        call = await self._call(request)
        preview = shortened(json.dumps(call.input, ensure_ascii=False), 300)
        names = (request.session, request.head, request.call, request.name, preview)
        if request.name not in READ_ONLY:
            begun = await self._store.begin_tool(*names)
            if begun is not None:
                await self._store.end_tool(*names, begun)
                return _reply(request, begun)
        shell = await self._sandboxes.shell(request.sandbox)
        tools = Tools(
            shell,
            network=request.sandbox.network,
            readable=readable(request.sandbox),
        )
        output = await tools.run(
            request.name,
            call.input,
            Path(request.root),
            self._outputs / request.session.replace("/", "--"),
            request.call,
            TIMEOUT_S_MAX,
            progress,
        )
        await self._store.end_tool(*names, output)
        return _reply(request, output)

    async def _call(self, request: ToolRequest) -> ToolUseBlock:
        asking = (await self._store.transcript(request.head))[-1]
        return next(
            block
            for block in asking.blocks
            if isinstance(block, ToolUseBlock) and block.id == request.call
        )


def _reply(request: ToolRequest, output: ToolOutput) -> ToolReply:
    return ToolReply(
        call=request.call, ok=output.ok, preview=shortened(output.content, PREVIEW_MAX)
    )
