"""The command: python -m station FILE."""

import sys
from collections.abc import Sequence
from pathlib import Path

from station.figures import mean
from station.reading import measurements


def main(arguments: Sequence[str]) -> int:
    """Print the mean of a file."""
    text = Path(arguments[0]).read_text(encoding="utf-8")
    sys.stdout.write(f"{mean(measurements(text.splitlines()))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
