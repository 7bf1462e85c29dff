"""Record the histories of stories that have none yet. A recorded one is never written again.

`make record` runs this. A history that no longer replays means that running work would break:
change the workflow (or use `workflow.patched`), not the recording.
"""

import asyncio
import gzip
import os
import sys
import tempfile
from pathlib import Path

from temporalio.client import Client as Temporal

from tests.workflows.office import Office
from tests.workflows.stories import STORIES
from worktrain import embedded
from worktrain.settings import load

HISTORIES = Path(__file__).parent / "histories"


async def record(server: embedded.Endpoints) -> int:
    """Play every story that has no recording; how many were recorded."""
    recorded = 0
    for story in STORIES:
        folder = HISTORIES / story.__name__
        if folder.exists():
            continue
        with tempfile.TemporaryDirectory() as home:
            async with Office.opened(server, Path(home)) as office:
                await story(office)
                histories = {
                    f"{workflow}/{number}": text
                    for workflow in dict.fromkeys(office.ran)
                    for number, text in enumerate(await _runs(office.temporal, workflow))
                }
        folder.mkdir(parents=True)
        for number, text in enumerate(histories.values()):
            # No time in the header: the same history is the same file.
            (folder / f"{number}.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
        recorded += 1
    return recorded


async def _runs(temporal: Temporal, workflow: str) -> list[str]:
    """The histories of all runs of a workflow, the oldest last."""
    found = []
    async for execution in temporal.list_workflows(f"WorkflowId = '{workflow}'"):
        handle = temporal.get_workflow_handle(workflow, run_id=execution.run_id)
        found.append((await handle.fetch_history()).to_json())
    return found


def main() -> int:
    with tempfile.TemporaryDirectory() as home:
        settings = load({"WORKTRAIN_HOME": home, "HOME": home})
        server = embedded.start_server(settings)
        try:
            recorded = asyncio.run(record(server))
        finally:
            embedded.stop_server(settings)
    sys.stdout.write(f"{recorded} stories recorded in {HISTORIES.name}/\n")
    sys.stdout.flush()
    # The SDK dies in one of five normal exits of the interpreter.
    os._exit(0)


if __name__ == "__main__":
    main()
