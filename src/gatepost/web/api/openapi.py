"""The OpenAPI 3.1 document of the API, made from the table of operations."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from gatepost.web.api.operations import OPERATIONS, Operation
from gatepost.web.api.parameters import PARAMETERS

VERSION = "1"
BASE = f"/api/v{VERSION}"
PROBLEM = "application/problem+json"
_ABOUT = (
    "What the dashboard of Gatepost shows, and its actions. A token of `gatepost web"
    " tokens add` is needed. Its role and its domains limit what it sees and changes."
)


class ProblemDetails(msgspec.Struct, frozen=True):
    """An error (RFC 9457)."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"


def document(operations: Sequence[Operation] = OPERATIONS) -> dict[str, Any]:
    """Return the document as plain values."""
    bodies = [one.body for one in operations if one.body is not None]
    types = [ProblemDetails, *(one.result for one in operations), *bodies]
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    problem, results = schemas[0], schemas[1 : 1 + len(operations)]
    inputs = dict(zip(bodies, schemas[1 + len(operations) :], strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for one, result in zip(operations, results, strict=True):
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, result, problem)
        if one.body is not None:
            paths[one.path][one.method.lower()]["requestBody"] = {
                "required": True,
                "content": {"application/json": {"schema": inputs[one.body]}},
            }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Gatepost", "version": VERSION, "description": _ABOUT},
        "servers": [{"url": BASE}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(one: Operation, result: Any, problem: Any) -> dict[str, Any]:
    return {
        "operationId": one.name,
        "summary": one.about,
        "description": f"Needs the role {one.role}.",
        "parameters": [*_in_path(one.path_parameters), *_in_query(one.parameters)],
        "responses": {
            "200": {
                "description": "The result",
                "content": {one.media_type: {"schema": result}},
            },
            "default": {"description": "An error", "content": {PROBLEM: {"schema": problem}}},
        },
    }


def _in_path(names: Iterable[str]) -> list[dict[str, Any]]:
    schema = {"type": "string", "minLength": 1}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in names]


def _in_query(names: Iterable[str]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "query",
            "description": PARAMETERS[name].about,
            "schema": PARAMETERS[name].schema,
        }
        for name in names
    ]
