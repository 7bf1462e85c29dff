"""A real Temporal server, shared by the tests of one worker process."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.workflows.office import Office
from worktrain import embedded
from worktrain.settings import load


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Endpoints]:
    settings = load({"WORKTRAIN_HOME": str(tmp_path_factory.mktemp("server")), "HOME": "/"})
    yield embedded.start_server(settings)
    embedded.stop_server(settings)


@pytest.fixture
async def office(server: embedded.Endpoints, tmp_path: Path) -> AsyncIterator[Office]:
    async with Office.opened(server, tmp_path) as one:
        yield one
