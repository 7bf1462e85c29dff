"""Search attributes: what `temporal workflow list --query` can ask about our work."""

from temporalio.common import SearchAttributeKey

WORKSPACE = SearchAttributeKey.for_keyword("WtWorkspace")
PHASE = SearchAttributeKey.for_keyword("WtPhase")
SPEC = SearchAttributeKey.for_keyword("WtSpec")
STATUS = SearchAttributeKey.for_keyword("WtStatus")
"""running, waiting (for a person), held (a cause must be mended), paused, ended."""
ENDING = SearchAttributeKey.for_keyword("WtEnding")
PARENT = SearchAttributeKey.for_keyword("WtParent")
COST_USD = SearchAttributeKey.for_float("WtCostUsd")
