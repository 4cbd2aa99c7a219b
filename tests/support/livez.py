"""A client in a process of its own that asks a server for `/livez` again and again.

    python -m tests.support.livez PORT PID

Begins with an empty line. Ends when its standard input does, and then says how many seconds every
answer took, as JSON. What the server's event loop, or this process, waited for a processor that
others had is left out: on a busy machine that says nothing about the server. All that the loop does
or waits for itself counts. Where both wait at once it is left out twice, so the figures of a busy
machine are rather low.
"""

from __future__ import annotations

import json
import math
import os
import select
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from stream.clock import SystemClock

PAUSE_S = 0.1
TIMEOUT_S = 20.0


def answer(port: int) -> bool:
    """Ask once, on a connection of its own; False when nothing comes."""
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def waited_s(*processes: int) -> float:
    """Return how long the main threads of processes have waited for a processor so far."""
    stats = (Path(f"/proc/{pid}/task/{pid}/schedstat").read_text() for pid in processes)
    return sum(int(text.split()[1]) for text in stats) / 1e9


def main(port: int, pid: int) -> None:
    """Ask until standard input ends."""
    clock, took = SystemClock(), []
    sys.stdout.write("\n")
    sys.stdout.flush()
    while not select.select([sys.stdin], [], [], PAUSE_S)[0]:
        begin = clock.monotonic() - waited_s(pid, os.getpid())
        answered = answer(port)
        took.append(clock.monotonic() - waited_s(pid, os.getpid()) - begin)
        if not answered:
            took[-1] = math.inf
    json.dump(took, sys.stdout)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
