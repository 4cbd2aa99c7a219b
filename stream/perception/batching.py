"""Perception of several streams' frames at once: their requests go to the finder together."""

from __future__ import annotations

from collections.abc import Sequence

from stream.events import Frame
from stream.perception.perception import Perceiving, Perception, Views
from stream.perception.requests import Finder, find_all
from styleflow.faces.face import Face, FaceRequest


def perceive_together(
    frames: Sequence[tuple[Perception, Frame, int]],
) -> list[Views | Exception]:
    """Return what each perception sees of its frame, or how it failed.

    All ask for what they can know already, are answered at once, and ask again. A fault is its
    perception's own: when requests fail together they are tried one by one.

    Args:
        frames: perception, frame and overrun as for `perceive`; each perception at most once.
    """
    going = [perception.perceiving(frame, overrun) for perception, frame, overrun in frames]
    done: dict[int, Views | Exception] = {}
    answers: dict[int, tuple[Face, ...] | Exception | None] = dict.fromkeys(range(len(going)))
    while answers:
        requests: dict[int, FaceRequest] = {}
        for number, answer in answers.items():
            asked = _go_on(going[number], answer)
            if isinstance(asked, FaceRequest):
                requests[number] = asked
            else:
                done[number] = asked
        answers = {}
        for finder in {id(frames[n][0].finder): frames[n][0].finder for n in requests}.values():
            mine = [n for n in requests if frames[n][0].finder is finder]
            found = _find_safely(finder, [requests[n] for n in mine])
            answers.update(zip(mine, found, strict=True))
    return [done[number] for number in range(len(going))]


def _go_on(
    steps: Perceiving, answer: tuple[Face, ...] | Exception | None
) -> FaceRequest | Views | Exception:
    """Return what a frame wants to know next, its views once it is done, or how it failed."""
    try:
        if isinstance(answer, Exception):
            return steps.throw(answer)
        return next(steps) if answer is None else steps.send(answer)
    except StopIteration as done:
        views: Views = done.value
        return views
    except Exception as error:
        return error


def _find_safely(
    finder: Finder, requests: Sequence[FaceRequest]
) -> Sequence[tuple[Face, ...] | Exception]:
    try:
        return find_all(finder, requests)
    except Exception as error:
        if len(requests) == 1:
            return [error]
        return [answer for each in requests for answer in _find_safely(finder, [each])]
