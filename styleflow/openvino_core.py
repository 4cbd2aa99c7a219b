"""OpenVINO, loaded once per process and kept from reporting home."""

from __future__ import annotations

import functools
import importlib
import sys
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import openvino


def library() -> ModuleType:
    """Import OpenVINO where it is used, for it costs 0.2 s, and keep it from reporting home.

    It tells its makers of every import and conversion through a package of its own, and goes on
    without where that cannot be imported.
    """
    sys.modules.setdefault("openvino_telemetry", cast(ModuleType, None))
    return importlib.import_module("openvino")


@functools.cache
def core() -> openvino.Core:
    """Return the one OpenVINO of this process, whose plugin for CPUs stays until the end.

    The plugin gives the thread that loads it a stack for signal handlers. When it goes, it unmaps
    that stack, and puts the earlier one back only in the same thread and only if no other plugin
    has been loaded since. Otherwise that thread is left with a stack that is gone: Python's signal
    handlers use it, so the next signal (Ctrl-C, SIGTERM, a timer) is a segmentation fault, of which
    `faulthandler` can say nothing either. So the plugin is loaded once, in a thread that has ended
    before anything is compiled, and the stacks of all other threads stay as they were.
    """
    made: openvino.Core = library().Core()
    with ThreadPoolExecutor(1, "openvino") as once:
        once.submit(made.get_versions, "CPU").result()
    return made
