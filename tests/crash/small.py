"""A broker that keeps twenty messages of a queue in memory, and its commit log in files of 200 KB: every queue is a deep one.

What is sent to it waits in blocks that refer to the commit log, whose files are kept and used again all the time. From the source:
in compiled modules these numbers are constants.
"""

import sys

from broker.cli import main
from broker.core import limits
from broker.store import commit_log, sent


def shrink() -> None:
    """Make it so."""
    for module, name, value in (
        (limits, "WAITING_MAX", 20),
        (limits, "WAITING_LOW", 10),
        (limits, "PAGE_ROWS", 30),
        (limits, "GROUP_MAX", 3),
        (commit_log, "SEGMENT_BYTES", 200_000),
        (sent, "SEGMENT_BYTES", 200_000),
        (commit_log, "_FEW_BYTES", 10_000),
    ):
        assert hasattr(module, name)
        setattr(module, name, value)


if __name__ == "__main__":
    shrink()
    main(sys.argv[1:])
