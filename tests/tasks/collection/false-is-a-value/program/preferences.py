"""What a player has set, over what is set for everybody."""

import json
from collections.abc import Mapping

DEFAULTS: Mapping[str, object] = {"sound": True, "volume": 7, "name": "player"}


def preferences(text: str) -> dict[str, object]:
    """Every preference, from a JSON object that may leave some out. Others are not kept."""
    chosen = json.loads(text)
    return {name: chosen.get(name) or default for name, default in DEFAULTS.items()}
