"""A model in this process that says what a scenario says."""

import asyncio
from collections import Counter
from collections.abc import Callable

from worktrain.adapters.models.anthropic import stop_of
from worktrain.adapters.models.failures import failure
from worktrain.adapters.models.prices import cost_microdollars
from worktrain.adapters.models.scenario import Refused, Scenario, answer, fingerprint
from worktrain.contracts.turn import ModelReply, ModelRequest


class ScriptedModel:
    """Fails as `AnthropicModel` would. `calls` holds the fingerprint of every request."""

    def __init__(self, scenario: Scenario) -> None:
        self.calls: list[str] = []
        self._scenario = scenario
        self._seen: Counter[str] = Counter()

    async def reply(self, request: ModelRequest, progress: Callable[[str], None]) -> ModelReply:
        attempt = f"Asking the scenario for a turn of {request.model!r}"
        name = fingerprint(request)
        seen = self._seen[name]
        self._seen[name] += 1
        self.calls.append(name)
        progress("asked")
        said = answer(self._scenario, request, seen)
        if isinstance(said, Refused):
            error = said.error
            raise failure(attempt, error.status, error.type, error.message, error.retry_after_s)
        if said.delay_s:
            await asyncio.sleep(said.delay_s)
        progress(f"turn {said.turn + 1} of {said.session}")
        return ModelReply(
            blocks=said.blocks,
            stop=stop_of(said.stop, said.blocks, attempt),
            usage=said.usage,
            model=request.model,
            cost_microdollars=cost_microdollars(request.model, said.usage),
        )
