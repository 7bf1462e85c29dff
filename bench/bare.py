"""As little as an agent loop can be: two activities a turn, nothing in them.

In a file of its own, because the workflow sandbox imports the file of a workflow anew.
"""

from datetime import timedelta

from temporalio import activity, workflow

FILLER = "x" * 120
"""What goes into and out of an empty activity: a real one is at least told what to do."""


@activity.defn
async def empty_model(told: str) -> str:
    return told


@activity.defn
async def empty_tool(told: str) -> str:
    return told


@workflow.defn
class BareLoop:
    """As little as an agent loop can be: two activities a turn, nothing in them."""

    @workflow.run
    async def run(self, turns: int) -> int:
        for _ in range(turns):
            for act in ("empty_model", "empty_tool"):
                await workflow.execute_activity(
                    act, FILLER, start_to_close_timeout=timedelta(seconds=60), summary=act
                )
        return turns
