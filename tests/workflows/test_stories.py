"""Every story ends as it says, on a real Temporal server."""

import pytest

from tests.workflows.office import Office
from tests.workflows.stories import STORIES, Story


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_story(office: Office, story: Story) -> None:
    await story(office)
