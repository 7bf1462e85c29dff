"""Print the newest lines of a log: python loglines.py FILE [--limit N]."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str]) -> int:
    """Newest line first, at most so many."""
    parser = argparse.ArgumentParser(prog="loglines", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--limit", type=int, help="how many lines at most")
    options = parser.parse_args(arguments)
    lines = options.file.read_text(encoding="utf-8").splitlines()[::-1]
    shown = lines[: options.limit] if options.limit else lines
    sys.stdout.writelines(f"{line}\n" for line in shown)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
