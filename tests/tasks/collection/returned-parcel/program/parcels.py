"""The way of a parcel, as a table of what may happen when."""

from collections.abc import Iterable, Mapping

NEXT: Mapping[tuple[str, str], str] = {
    ("new", "pack"): "packed",
    ("packed", "send"): "sent",
    ("sent", "deliver"): "delivered",
    ("sent", "bring back"): "sent",
    ("returned", "send"): "sent",
}


def after(events: Iterable[str]) -> str:
    """Where a new parcel is after these events. Raises ValueError for one that cannot happen."""
    state = "new"
    for event in events:
        if (state, event) not in NEXT:
            raise ValueError(f"a parcel that is {state} cannot {event}")
        state = NEXT[state, event]
    return state
