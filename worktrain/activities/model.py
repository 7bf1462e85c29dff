"""One model call: asked once, paid once, its words kept in the store."""

from collections.abc import Callable

from worktrain.activities.door import implements
from worktrain.adapters.models import ModelClient
from worktrain.adapters.stores import Store
from worktrain.contracts.calls import TAKE_TURN
from worktrain.contracts.spec import Context, Script
from worktrain.contracts.turn import (
    Message,
    ModelRequest,
    TextBlock,
    ToolDone,
    ToolSchema,
    TurnReply,
    TurnRequest,
)
from worktrain.engine import converse, prompt

PINNED_MAX = 64
"""Sessions whose pinned texts are kept at hand."""


class Pinned:
    """The texts of a session that never change, as its model calls need them."""

    def __init__(self, script: Script, context: Context) -> None:
        self.script = script
        self.context = context
        self.system = prompt.system(script, context)
        self.tools: tuple[ToolSchema, ...] = prompt.tools(script.words)


class ModelActivities:
    def __init__(self, store: Store, model: ModelClient) -> None:
        self._store = store
        self._model = model
        self._pinned: dict[tuple[str, str], Pinned] = {}

    @implements(TAKE_TURN)
    async def take_turn(self, request: TurnRequest, progress: Callable[[str], None]) -> TurnReply:
        """Say what there is to say, store both sides, answer what the workflow must know."""
        key = converse.key_of(request)
        paid = await self._store.find_turn(key)
        if paid is not None:
            return paid
        pinned = await self._pin(request)
        earlier = await self._store.transcript(request.head)
        outputs = (
            await self._store.tool_outputs(request.head)
            if request.head and any(isinstance(one, ToolDone) for one in request.say)
            else {}
        )
        first = pinned.context if request.head is None else None
        said = prompt.said(request.say, pinned.script, first, outputs)
        reply = await self._model.reply(
            ModelRequest.model_construct(
                model=request.model,
                system=pinned.system,
                tools=pinned.tools,
                messages=(*earlier, said),
                max_tokens=request.max_tokens,
            ),
            progress,
        )
        # The API refuses a conversation in which somebody says nothing.
        blocks = reply.blocks or (TextBlock(text="(said nothing)"),)
        answer = converse.answer_of(key, reply)
        return await self._store.add_turn(
            key, request, said, Message(role="assistant", blocks=blocks), answer
        )

    async def _pin(self, request: TurnRequest) -> Pinned:
        names = (request.script, request.context)
        if names not in self._pinned:
            script, context = [await self._store.get_blob(name) for name in names]
            while len(self._pinned) >= PINNED_MAX:
                self._pinned.pop(next(iter(self._pinned)))
            self._pinned[names] = Pinned(
                Script.model_validate_json(script), Context.model_validate_json(context)
            )
        return self._pinned[names]
