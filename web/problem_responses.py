"""Problem responses after RFC 9457. The words come from `stream.problems`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.params import Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import Response

from stream.faults import dotted, told
from stream.problems import Problem
from styleflow.errors import StyleFlowError
from web.errors import NotServed, Refusal, RequestInvalid

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
    app.add_exception_handler(StyleFlowError, _told)
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
    406: "Not given in that form",
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
    507: "No room left on the disk",
}


async def _told(request: Request, error: Exception) -> Response:
    headers = error.headers if isinstance(error, Refusal) else None
    return problem_response(Problem.of(error), headers)


async def _invalid(request: Request, error: Exception) -> Response:
    """Say what is wrong with a request, never what it contained: that may be a password."""
    assert isinstance(error, RequestValidationError)
    kinds = _kinds(request.scope.get("endpoint"))
    faults = tuple(
        Fault(where=_where(fault), what=told(kinds.get(fault["loc"][0]), _within(fault)))
        for fault in error.errors()[:16]
    )
    detail = "; ".join(f"{fault.where}: {fault.what}" for fault in faults[:3])
    return problem_response(Problem.of(RequestInvalid(detail)), faults=faults)


def _where(fault: Mapping[str, Any]) -> str:
    """Return where a fault is; of text that is no JSON only that it is the body."""
    return "body" if fault["type"] == "json_invalid" else dotted(fault["loc"])


def _within(fault: Mapping[str, Any]) -> dict[str, Any]:
    """Return a fault as the model in the body or the query has it."""
    return {**fault, "loc": fault["loc"][1:]}


def _kinds(endpoint: Any) -> dict[str, type[BaseModel]]:
    """Return the models that an operation takes in its body and its query."""
    found: dict[str, type[BaseModel]] = {}
    hints = get_type_hints(endpoint, include_extras=True) if endpoint else {}
    hints.pop("return", None)
    for hint in hints.values():
        kind, *marks = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found["query" if any(isinstance(mark, Query) for mark in marks) else "body"] = kind
    return found


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    asked = f"{request.method} {request.url.path}"
    refusal = NotServed(asked, str(error.detail), error.status_code)
    headers = dict(error.headers or {})
    if headers.get("Allow") == "GET":  # what answers GET answers HEAD
        headers["Allow"] = "GET, HEAD"
    return problem_response(Problem.of(refusal), headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    log.exception("request failed", path=request.url.path, exc_info=error)
    return problem_response(Problem.of(error))
