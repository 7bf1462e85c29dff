"""The units, by how many metres each has."""

from collections.abc import Mapping

METRES: Mapping[str, float] = {
    "m": 1.0,
    "km": 1000.0,
}
