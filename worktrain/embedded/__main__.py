"""The supervisor's own process: `python -m worktrain.embedded`."""

import logging
import os
import sys

from worktrain.contracts.failure import AdapterError
from worktrain.embedded.supervisor import supervise
from worktrain.settings import load
from worktrain.telemetry import setup


def main() -> int:
    settings = load(os.environ)
    setup("supervisor", secrets=settings.known_secrets)
    try:
        supervise(settings, os.environ)
    except AdapterError as error:
        logging.getLogger(__name__).error("supervisor not started", extra={"why": error.said})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
