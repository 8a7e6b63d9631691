"""The OpenAPI 3.1 document of the API, made from the table of operations."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from gatepost.web.api.operations import OPERATIONS, Operation
from gatepost.web.api.parameters import PARAMETERS
from gatepost.web.problems import BASE, PROBLEM, STATUS, VERSION, ProblemDetails
from gatepost.web.status import Status

_ABOUT = (
    "What the dashboard of Gatepost shows, and its actions. A token of `gatepost web"
    " tokens add` is needed. Its role and its domains limit what it sees and changes."
)


def document(operations: Sequence[Operation] = OPERATIONS) -> dict[str, Any]:
    """Return the document as plain values."""
    bodies = [one.body for one in operations if one.body is not None]
    types = [ProblemDetails, Status, *(one.result for one in operations), *bodies]
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    problem, status, *rest = schemas
    results, inputs = (
        rest[: len(operations)],
        dict(zip(bodies, rest[len(operations) :], strict=True)),
    )
    paths: dict[str, dict[str, Any]] = {STATUS: _status(status, problem)}
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


def _status(status: Any, problem: Any) -> dict[str, Any]:
    """Return the description of the status, whose path is not below that of the API."""
    result = {"application/json": {"schema": status}}
    return {
        "servers": [{"url": "/"}],
        "get": {
            "operationId": "status",
            "summary": "The state of the server in a few numbers, read every 5 seconds at most.",
            "description": "Needs a token without domains, unless `web.public_status` is true.",
            "responses": {
                "200": {"description": "The server works", "content": result},
                "503": {
                    "description": "The server has a problem, or its state cannot be read",
                    "content": {**result, PROBLEM: {"schema": problem}},
                },
                "default": {"description": "An error", "content": {PROBLEM: {"schema": problem}}},
            },
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
