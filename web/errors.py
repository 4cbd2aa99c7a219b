"""Refusals: requests that are not granted, with a problem for the caller."""

from __future__ import annotations

from collections.abc import Mapping

from stream.problems import Problem


class Refusal(Exception):
    """A request that is not granted.

    Attributes:
        problem: why, and what to do about it.
        headers: response headers that belong to the refusal.
    """

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem.line)
        self.problem = problem
        self.headers = dict(headers or {})


def refuse(
    status: int, code: str, title: str, detail: str, hint: str = "", *, retry: bool = False
) -> Refusal:
    """Return a refusal in one line."""
    return Refusal(Problem(code, title, detail, hint, status, retry))
