"""Settings in the URL of a demo source; values only, without av or cv2."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import parse_qsl, urlsplit

from stream.errors import SourceUrlInvalid
from stream.ingest.source import SourceUrl

_KEYS = ("seconds", "fps", "seed", "size")


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What a demo URL asks for.

    Attributes:
        tampered: the face is made anew in every frame.
        seconds: length in media time; None means endless.
        fps: frames per second, 1 to 60.
        seed: chooses motion, blinks and noise.
        size: width and height in pixels, both even, 160x120 to 1920x1080.
    """

    tampered: bool
    seconds: float | None = None
    fps: float = 25.0
    seed: int = 0
    size: tuple[int, int] = (640, 480)

    @classmethod
    def parse(cls, url: SourceUrl) -> DemoSettings:
        """Understand a demo URL.

        Raises:
            SourceUrlInvalid: naming the part of the query that cannot be used.
        """
        parts = urlsplit(url.reveal())
        given: dict[str, str] = {}
        for key, value in parse_qsl(parts.query, keep_blank_values=True):
            if key not in _KEYS:
                _refuse(url, f"there is no {key!r}; it may say {', '.join(_KEYS)}")
            if key in given:
                _refuse(url, f"{key} is given twice")
            given[key] = value
        chosen: dict[str, object] = {}
        if "seconds" in given:
            chosen["seconds"] = _number(url, "seconds", given["seconds"], 0.1, 86_400.0)
        if "fps" in given:
            chosen["fps"] = _number(url, "fps", given["fps"], 1.0, 60.0)
        if "seed" in given:
            chosen["seed"] = _seed(url, given["seed"])
        if "size" in given:
            chosen["size"] = _size(url, given["size"])
        return cls(tampered=parts.netloc.lower() == "tampered", **chosen)  # type: ignore[arg-type]

    @property
    def frames(self) -> int | None:
        """How many frames there are, at least 1; None means endless."""
        return None if self.seconds is None else max(1, round(self.seconds * self.fps))


def _number(url: SourceUrl, key: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        _refuse(url, f"{key} must be a number from {low:g} to {high:g}, not {text!r}")
    return value


def _seed(url: SourceUrl, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        _refuse(url, f"seed must be a whole number of at most nine digits, not {text!r}")
    return int(text)


def _size(url: SourceUrl, text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,4})x([0-9]{1,4})", text)
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (160 <= width <= 1920 and 120 <= height <= 1080) or width % 2 or height % 2:
        _refuse(url, f"size must be even, from 160x120 to 1920x1080, not {text!r}")
    return width, height


def _refuse(url: SourceUrl, reason: str) -> NoReturn:
    raise SourceUrlInvalid(url.redacted, reason)
