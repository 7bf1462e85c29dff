"""Every task of the collection, end to end to its merge; prints what it took."""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from tests.tasks.assignment import assignments
from tests.tasks.playing import Outcome, workshop

HEADS = ("task", "pipeline", "ending", "turns", "passes", "cost", "minutes", "tests")


def main(arguments: Sequence[str]) -> int:
    """0 when every task was merged and its tests fail before and pass after; else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.tasks", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="may repeat")
    parser.add_argument("--json", action="store_true", help="a JSON list instead of a table")
    parser.add_argument("--at-once", type=int, default=2, metavar="N", help="tasks side by side")
    parser.add_argument("--keep", action="store_true", help="leave everything where it was made")
    options = parser.parse_args(arguments)
    try:
        chosen = assignments(options.only)
    except ValueError as error:
        parser.error(str(error))
    root = Path(tempfile.mkdtemp(prefix="worktrain-tasks-"))
    try:
        with workshop(root, chosen) as shop, ThreadPoolExecutor(options.at_once) as pool:
            outcomes = list(pool.map(shop.play, chosen))
    finally:
        if options.keep:
            sys.stderr.write(f"everything is below {root}\n")
        else:
            shutil.rmtree(root, ignore_errors=True)
    if options.json:
        told = [{**asdict(one), "good": one.good} for one in outcomes]
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
    else:
        sys.stdout.write(table(outcomes))
    return 0 if all(one.good for one in outcomes) else 1


def table(outcomes: Sequence[Outcome]) -> str:
    """One line for each, what was needed in all, and why those that are not good are not."""
    rows = [HEADS, *(_row(one) for one in outcomes), _sum(outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    bad = [f"{one.task}: {one.why}" for one in outcomes if not one.good]
    return "\n".join([*lines, *([""] if bad else []), *bad]) + "\n"


def _row(one: Outcome) -> tuple[str, ...]:
    before = "failed" if one.failed_before else "passed"
    after = "pass" if one.pass_after else "fail"
    return (
        one.task,
        one.pipeline or "-",
        one.ending or "none",
        str(one.turns),
        str(one.passes),
        f"${one.cost_usd:.2f}",
        f"{one.minutes:.1f}",
        f"{before} before, {after} now" if one.ending == "merged" else "-",
    )


def _sum(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    good = sum(one.good for one in outcomes)
    return (
        f"{good} of {len(outcomes)}",
        "",
        "",
        str(sum(one.turns for one in outcomes)),
        str(sum(one.passes for one in outcomes)),
        f"${sum(one.cost_usd for one in outcomes):.2f}",
        f"{sum(one.minutes for one in outcomes):.1f}",
        "",
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
