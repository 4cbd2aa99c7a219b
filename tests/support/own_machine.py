"""A module run as a program that sees the processes of its own network namespace alone.

    python -m tests.support.own_machine MODULE [ARGUMENT]...

Ray's programs join the node whose process they find on their machine, that of the head first.
Machines of a test network share their processes, so all of them would join the head's node.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
from collections.abc import Iterator
from typing import Any


def main() -> None:
    """Run the module that the command line names, with the arguments behind it."""
    importlib.import_module("ray")  # brings a psutil of its own, where none is installed
    psutil = importlib.import_module("psutil")
    everybody, here = psutil.process_iter, _network(os.getpid())

    def neighbours(*args: Any, **named: Any) -> Iterator[Any]:
        return (each for each in everybody(*args, **named) if _network(each.pid) == here)

    psutil.process_iter = neighbours
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _network(pid: int) -> str:
    """Return which network a process is in; nothing of one that has ended."""
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""


if __name__ == "__main__":
    main()
