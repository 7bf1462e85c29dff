"""One model call: asked once, paid once, its words kept in the store."""

from collections.abc import Callable, Sequence

from worktrain.activities.door import implements
from worktrain.adapters.models import ModelClient, answer_tokens_for
from worktrain.adapters.stores import Store
from worktrain.contracts.calls import TAKE_TURN
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.plan import Context, Script
from worktrain.contracts.session import SessionClosed
from worktrain.contracts.turn import (
    Continued,
    Delegated,
    Message,
    ModelRequest,
    Spawned,
    TextBlock,
    ToolDone,
    ToolSchema,
    TurnReply,
    TurnRequest,
)
from worktrain.engine import converse, prompt

PINNED_MAX = 64
"""Sessions whose pinned texts are kept at hand."""

BYTES_PER_TOKEN = 3
"""Fewer than texts of any kind have on average, so that an estimate errs upwards."""
ANSWER_TOKENS_MIN = 256
"""An answer that has to be shorter than this is not worth its input."""

_Names = tuple[str, str, tuple[str, ...]]


class Pinned:
    """What never changes in a session, as its model calls need it."""

    def __init__(self, script: Script, context: Context, allowed: Sequence[str]) -> None:
        self.script = script
        self.context = context
        self.tools: tuple[ToolSchema, ...] = prompt.tools(script.words, allowed)


class ModelActivities:
    def __init__(self, store: Store, model: ModelClient) -> None:
        self._store = store
        self._model = model
        self._pinned: dict[_Names, Pinned] = {}

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
        reports = await self._reports(request)
        attached = await self._attached(request)
        said = prompt.said(request.say, pinned.script, first, outputs, reports, attached)
        asked = ModelRequest.model_construct(
            model=request.model,
            system=prompt.system(pinned.script, pinned.context, request.step),
            tools=pinned.tools,
            messages=(*earlier, said),
            max_tokens=request.max_tokens,
        )
        reply = await self._model.reply(reserved(asked, request), progress)
        # The API refuses a conversation in which somebody says nothing.
        blocks = reply.blocks or (TextBlock(text="(said nothing)"),)
        answer = converse.answer_of(key, reply)
        return await self._store.add_turn(
            key, request, said, Message(role="assistant", blocks=blocks), answer
        )

    async def _reports(self, request: TurnRequest) -> dict[str, SessionClosed]:
        """What the sessions handed over that this turn tells of, by session id."""
        told = [one for one in request.say if isinstance(one, Delegated | Spawned)]
        sessions = dict.fromkeys(child.session for one in told for child in one.children)
        found = {session: await self._store.session(session) for session in sessions}
        return {session: closed for session, closed in found.items() if closed is not None}

    async def _attached(self, request: TurnRequest) -> dict[str, str]:
        """The texts that are told with this turn, by content hash."""
        names = [one.attached for one in request.say if isinstance(one, Continued)]
        return {name: await self._store.get_blob(name) for name in names if name}

    async def _pin(self, request: TurnRequest) -> Pinned:
        names = (request.script, request.context, request.tools)
        if names not in self._pinned:
            script = await self._store.get_blob(request.script)
            context = await self._store.get_blob(request.context)
            while len(self._pinned) >= PINNED_MAX:
                self._pinned.pop(next(iter(self._pinned)))
            self._pinned[names] = Pinned(
                Script.model_validate_json(script),
                Context.model_validate_json(context),
                request.tools,
            )
        return self._pinned[names]


def reserved(asked: ModelRequest, request: TurnRequest) -> ModelRequest:
    """The call with an answer no longer than what is left pays for, whatever it comes to.

    The worst case is reserved: the whole input at its full price, as if nothing were cached, and
    an answer of the greatest length. Raises `AdapterError` unaffordable.
    """
    left = request.spend_microdollars_max
    if left is None:
        return asked
    input_tokens = -(-len(asked.model_dump_json().encode()) // BYTES_PER_TOKEN)
    most = answer_tokens_for(asked.model, input_tokens, left)
    if most is None or most >= asked.max_tokens:
        return asked
    if most < ANSWER_TOKENS_MIN:
        raise AdapterError(
            FailureKind.UNAFFORDABLE,
            f"Turn {request.turn} of {request.session} was not asked of {asked.model!r}: with "
            f"{input_tokens:,} tokens to read and USD {left / 1e6:.4f} left of its cost limit, "
            f"{most:,} tokens of an answer can be paid, and fewer than {ANSWER_TOKENS_MIN} are "
            "of no use; raise limits.cost_usd_max or budget.cost_usd_max and run it anew.",
        )
    return asked.model_copy(update={"max_tokens": most})
