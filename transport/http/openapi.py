"""The OpenAPI 3.1 document, made from the table of routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from google.protobuf.descriptor import FieldDescriptor

from greenroom.transport.http.table import Route, is_wire

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["describe"]

_WRAPPERS = "openim.protobuf."
_NUMBERS: dict[int, dict[str, Any]] = {
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_INT64: {"type": "integer", "format": "int64"},
    FieldDescriptor.TYPE_UINT32: {"type": "integer", "format": "int64", "minimum": 0},
    FieldDescriptor.TYPE_UINT64: {"type": "integer", "minimum": 0},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_ENUM: {"type": "integer"},
}
_ERROR = {
    "errCode": {"type": "integer", "description": "0: success"},
    "errMsg": {"type": "string"},
    "errDlt": {"type": "string"},
}
_OPERATION_ID = [{"name": "operationID", "in": "header", "required": True, "schema": {"type": "string"}}]


def describe(routes: Iterable[Route]) -> dict[str, Any]:
    """The document, with every row. Rows that are not implemented yet have `x-implemented: false`."""
    schemas: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Greenroom, an OpenIM v3.8 compatible API", "version": "3.8"},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "token"}},
        },
    }


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    is_post = route.method == "POST"
    operation: dict[str, Any] = {
        "operationId": route.path.strip("/").replace("/", ".") + ("" if is_post else f".{route.method.lower()}"),
        "tags": [route.path.split("/")[1]],
        "parameters": _OPERATION_ID if is_post else [],
        "responses": {"200": _reply(route, schemas) if is_post else {"description": "a body of its own"}},
        "security": [] if route.who.kind == "anyone" else [{"token": []}],
        "x-who": route.who.describe(),
        "x-implemented": route.handler is not None,
    }
    if route.request is not None:
        body: dict[str, Any] = _schema_of(route.request, schemas)
        if route.required:
            body = {"allOf": [body], "required": [name for name in route.required if "." not in name]}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation


def _reply(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    data = _data(route, schemas)
    envelope = {"type": "object", "properties": _ERROR | ({"data": data} if data else {})}
    return {"description": "the envelope", "content": {"application/json": {"schema": envelope}}}


def _data(route: Route, schemas: dict[str, Any]) -> dict[str, Any] | None:
    if route.response is None or not route.has_data:
        return None
    data = _schema_of(route.response, schemas)
    return {"type": ["array", "null"], "items": data} if route.many else data


def _schema_of(kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    if is_wire(kind):
        return _reference(kind.DESCRIPTOR, schemas)
    (schema,), components = msgspec.json.schema_components(
        [kind], ref_template="#/components/schemas/{name}"
    )
    schemas.update(components)
    return schema


def _reference(message: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    name = message.full_name
    if name not in schemas:
        schemas[name] = {}  # A message that contains itself ends here.
        properties = {field.name: _field(field, schemas) for field in message.fields}
        schemas[name] = {"type": "object", "properties": properties}
    return {"$ref": f"#/components/schemas/{name}"}


def _field(field: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        return {
            "type": "object",
            "additionalProperties": _value(message.fields_by_name["value"], schemas),
        }
    value = _value(field, schemas)
    if field.is_repeated:
        return {"type": ["array", "null"], "items": value}
    if message is not None and not message.full_name.startswith(_WRAPPERS):
        return {"anyOf": [value, {"type": "null"}]}
    return value


def _value(field: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    message = field.message_type
    if message is None:
        return dict(_NUMBERS[field.type])
    if message.full_name.startswith(_WRAPPERS):
        inner: dict[str, Any] = _NUMBERS[message.fields_by_name["value"].type]
        nullable: dict[str, Any] = inner | {"type": [inner["type"], "null"]}
        return nullable
    return _reference(message, schemas)
