"""Problem responses after RFC 9457. The words come from `stream.problems`."""

from __future__ import annotations

import math
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import Response

from stream.errors import StreamError
from stream.problems import Problem, describe
from styleflow.errors import StyleflowError
from web.errors import Refusal

log = structlog.get_logger(__name__)


class Fault(BaseModel):
    """One part of a request that is wrong."""

    where: str
    what: str


class ProblemBody(BaseModel):
    """Body of a problem response: why a request was not granted."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str
    retry: bool
    faults: tuple[Fault, ...] = ()


def problem_response(
    problem: Problem, headers: dict[str, str] | None = None, faults: tuple[Fault, ...] = ()
) -> Response:
    """Return a problem as `application/problem+json`."""
    body = ProblemBody(
        type=f"urn:styleflow:problem:{problem.code}",
        title=problem.title,
        status=problem.status,
        detail=problem.detail,
        code=problem.code,
        hint=problem.hint,
        retry=problem.retry,
        faults=faults,
    )
    headers = dict(headers or {})
    if problem.retry_after_s is not None:
        headers.setdefault("Retry-After", f"{math.ceil(problem.retry_after_s)}")
    return JSONResponse(
        body.model_dump(mode="json"),
        status_code=problem.status,
        headers=headers,
        media_type="application/problem+json",
    )


def install_handlers(app: FastAPI) -> None:
    """Have an app answer every error with a problem response."""
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(StreamError, _described)
    app.add_exception_handler(StyleflowError, _described)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def documented_problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route for OpenAPI: its problems, by HTTP status."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemBody"}}}
    return {
        code: {"model": ProblemBody, "description": _DESCRIPTIONS[code], "content": content}
        for code in codes
    }


_DESCRIPTIONS = {
    400: "The request cannot be understood",
    401: "A token is needed",
    403: "Not allowed",
    404: "There is no such thing",
    405: "Not done here",
    409: "There is one already",
    412: "Of another ICE session",
    413: "Too large",
    415: "Not of the right type",
    422: "The request is understood, but cannot be met",
    428: "If-Match is needed",
    429: "Too much at once; try again later",
    502: "The other side did not deliver",
    503: "Not available now",
    504: "It took too long",
}


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return problem_response(error.problem, error.headers)


async def _described(request: Request, error: Exception) -> Response:
    return problem_response(describe(error))


async def _invalid(request: Request, error: Exception) -> Response:
    """Say what is wrong with a request, never what it contained: that may be a password."""
    assert isinstance(error, RequestValidationError)
    faults = tuple(
        Fault(where=".".join(map(str, fault["loc"])), what=str(fault["msg"]))
        for fault in error.errors()[:16]
    )
    detail = "; ".join(f"{fault.where}: {fault.what}" for fault in faults[:3])
    problem = Problem(
        "invalid_request", "The request is not valid", detail, "See /docs", status=422
    )
    return problem_response(problem, faults=faults)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    problem = Problem(
        "http", str(error.detail), f"{request.method} {request.url.path}", "See /docs"
    )
    return problem_response(
        Problem(problem.code, problem.title, problem.detail, problem.hint, error.status_code),
        dict(error.headers or {}),
    )


async def _unexpected(request: Request, error: Exception) -> Response:
    log.exception("request failed", path=request.url.path, exc_info=error)
    return problem_response(describe(error))
