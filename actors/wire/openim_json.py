"""OpenIM's JSON of protobuf messages: plain Go encoding/json over the structs, not protobuf's own JSON.

Writing: every scalar is written, even a zero. An unset message or wrapper, an empty list and empty bytes become null.
An empty map is left out. A wrapper becomes its bare value, an enum a number, bytes base64; integers are exact.
Reading: keys match in any case, unknown keys are ignored, null means not set, and the later of two duplicates wins.

Each message class has a plan for this, which is made once from its descriptor.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from greenroom.actors.wire.go_json import JsonMalformed, JsonObject, JsonTooLong, escape, parse
from greenroom.actors.wire.json_scalars import JsonMismatch, Scalar, scalar_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = [
    "JsonMismatch", "from_dict", "from_json", "has_long_list", "json_slices", "tips_content", "tips_element", "to_dict",
    "to_json",
]  # fmt: skip

_M = TypeVar("_M", bound=Message)

_encode = msgspec.json.Encoder().encode
_WRAPPERS_FILE = "greenroom/actors/wire/wrappers.proto"
_LEFT_OUT: Final = object()
_GAP: Final = msgspec.Raw(b"\0")
"""Where elements will stand. JSON never has this byte."""
_PART_BYTES: Final = 512 * 1024
_SCALARS_PER_MESSAGE: Final = 20
"""About as many scalars of a list are written in the time that one message takes."""
_LISTED_IN_MAPS: Final = 10
"""About as many messages as a message of a map holds."""


def to_json(message: Message) -> bytes:
    """Write a message exactly as OpenIM's server does, byte for byte."""
    return escape(_encode(to_dict(message)))


def json_slices(message: Message, elements: int) -> Iterator[bytes]:
    """The same as `to_json` in pieces, each with at most this many elements of a list of messages, and half a megabyte;
    or as much of a list of scalars; or a tenth as many of a map, whose messages hold lists. It is for callers who write
    a long list and let other tasks run between the pieces."""
    separator = b"{"
    for name, value, plan in _plan_of(message.DESCRIPTOR).fields_of(message):
        if value is _LEFT_OUT:
            continue
        yield b'%b"%b":' % (separator, name.encode())
        separator = b","
        if not value or (plan is None and not isinstance(value, list)):
            yield escape(_encode(value))
            continue
        if isinstance(value, Mapping):
            assert plan is not None
            yield from _map_slices(value, plan, max(1, elements // _LISTED_IN_MAPS))
            continue
        if plan is None:
            step = elements * _SCALARS_PER_MESSAGE
            parts = (value[start : start + step] for start in range(0, len(value), step))
        else:
            parts = ([plan.write(each) for each in part] for part in _parts(value, elements))
        for number, part in enumerate(parts):
            yield (b"," if number else b"[") + escape(_encode(part))[1:-1]
        yield b"]"
    yield b"{}" if separator == b"{" else b"}"


def _parts(messages: Sequence[Message], elements: int) -> Iterator[list[Message]]:
    """At most this many messages each, and of some bytes, unless one message has more."""
    part: list[Message] = []
    room = _PART_BYTES
    for message in messages:
        room -= message.ByteSize()
        if part and (room < 0 or len(part) == elements):
            yield part
            part, room = [], _PART_BYTES - message.ByteSize()
        part.append(message)
    yield part


def _map_slices(value: Mapping[Any, Message], plan: _Plan, elements: int) -> Iterator[bytes]:
    keys = sorted(value)
    for start in range(0, len(keys), elements):
        part = {key: plan.write(value[key]) for key in keys[start : start + elements]}
        yield (b"," if start else b"{") + escape(_encode(part))[1:-1]
    yield b"}"


def has_long_list(message: Message, elements: int) -> bool:
    """Whether one of the message's own lists or maps may be more than one piece in `json_slices`."""
    plan = _plan_of(message.DESCRIPTOR)
    return (
        any(len(getattr(message, name)) > elements for name in plan.message_lists)
        or any(len(getattr(message, name)) > elements * _SCALARS_PER_MESSAGE for name in plan.scalar_lists)
        or any(len(getattr(message, name)) > elements // _LISTED_IN_MAPS for name in plan.message_maps)
        or message.ByteSize() > _PART_BYTES
    )


def to_dict(message: Message) -> dict[str, Any]:
    """The message as Python data, with its keys in declared order. Bytes stay bytes; msgspec writes them as base64."""
    return _plan_of(message.DESCRIPTOR).write(message)


def tips_content(message: Message, elements: Sequence[bytes] = ()) -> bytes:
    """The content of a notification: `{"detail":"<the tips as JSON text>"}`. `elements` stand in the message's only
    list of messages; each is the result of `tips_element`."""
    tips = to_dict(message)
    if not elements:
        return _encode({"detail": escape(_encode(tips)).decode()})
    (name,) = _plan_of(message.DESCRIPTOR).message_lists
    tips[name] = _GAP
    before, after = map(_in_text, escape(_encode(tips)).split(bytes(_GAP)))
    return b'{"detail":"%b[%b]%b"}' % (before, b",".join(elements), after)


def tips_element(message: Message) -> bytes:
    """A message as an element of the list in a notification's content."""
    return _in_text(to_json(message))


def _in_text(data: bytes) -> bytes:
    """JSON as it is written inside a JSON string."""
    return _encode(data.decode())[1:-1]


def from_json(data: bytes, message_class: type[_M], *, check: Callable[[Any], None] | None = None) -> _M:
    """Read a message. `check` gets the parsed value before a message is made of it, which takes some times longer.

    Raises JsonMismatch if the data is not JSON, or if a known key has a value of another type.
    """
    try:
        value = parse(data)
    except JsonTooLong as problem:
        raise JsonMismatch(f"JSON of {problem}") from None
    except JsonMalformed:
        raise JsonMismatch("JSON") from None
    if check is not None:
        check(value)
    return _build(value, message_class)


def from_dict(data: Mapping[str, Any] | None, message_class: type[_M]) -> _M:
    """Read a message from Python data, such as json.loads returns; fields of bytes may also hold bytes. Raises
    JsonMismatch."""
    return _build(data, message_class)


def _build(value: Any, message_class: type[_M]) -> _M:
    values: dict[str, Any] = {}
    if value is not None:
        _plan_of(message_class.DESCRIPTOR).read(value, values)
    try:
        return message_class(**values)
    except UnicodeEncodeError:
        raise JsonMismatch("text without halves of surrogate pairs") from None


class _Field:
    """How one field is written and read.

    `write` converts the message's value to the JSON value; it is None if both are the same. `read` gets the JSON value,
    which is never null, and the result of an earlier duplicate key (or None): Go adds to it for maps and messages.
    """

    def __init__(
        self,
        name: str,
        *,
        read: Callable[[Any, Any], Any],
        write: Callable[[Message, Any], Any] | None = None,
        keeps_on_null: bool = False,
        element: _Plan | None = None,
        is_scalar_list: bool = False,
        is_map: bool = False,
    ) -> None:
        self.name = name
        self.is_scalar_list = is_scalar_list
        self.is_map = is_map
        self.element = element
        """The plan of an element, if the field is a list or map of messages."""
        self.read = read
        self.write = write
        self.keeps_on_null = keeps_on_null


class _Plan:
    """How one message class is written and read."""

    def __init__(self, fields: list[_Field]) -> None:
        self._names = tuple(field.name for field in fields)
        self._get = _getter(self._names)
        self._writers = tuple((field.name, field.write) for field in fields if field.write is not None)
        self._fields = {field.name: field for field in fields}
        self.message_lists = tuple(field.name for field in fields if field.element is not None and not field.is_map)
        self.message_maps = tuple(field.name for field in fields if field.element is not None and field.is_map)
        self.scalar_lists = tuple(field.name for field in fields if field.is_scalar_list)
        self._folded = {field.name.lower(): field for field in reversed(fields)}

    def write(self, message: Message) -> dict[str, Any]:
        out = dict(zip(self._names, self._get(message), strict=True))
        for name, write in self._writers:
            value = write(message, out[name])
            if value is _LEFT_OUT:
                del out[name]
            else:
                out[name] = value
        return out

    def fields_of(self, message: Message) -> Iterator[tuple[str, Any, _Plan | None]]:
        """Each field with its value as `write` has it. A list or map of messages stays as it is, with its elements'
        plan."""
        for field in self._fields.values():
            value = getattr(message, field.name)
            if field.element is not None:
                yield field.name, value or (_LEFT_OUT if field.is_map else None), field.element
            else:
                yield field.name, value if field.write is None else field.write(message, value), None

    def read(self, value: Any, out: dict[str, Any]) -> dict[str, Any]:
        """Read an object into `out`, as arguments for the message class."""
        for key, item in _pairs(value):
            field = self._fields.get(key) or self._folded.get(key.lower())
            if field is None:
                continue
            name = field.name
            if item is None:
                if not field.keeps_on_null:
                    out.pop(name, None)
                continue
            try:
                out[name] = field.read(item, out.get(name))
            except JsonMismatch as mismatch:
                raise mismatch.under(name) from None
        return out


# One plan for each message class in use, so the descriptor pool bounds this cache. The type stubs have two unrelated
# types for descriptors, so they are Any here.
_plans: dict[object, _Plan] = {}


def _plan_of(descriptor: Any) -> _Plan:
    plan = _plans.get(descriptor)
    if plan is None:
        # It is stored once it is complete, so that no thread sees half a plan. No message class contains itself.
        plan = _plans[descriptor] = _Plan([_field_of(field) for field in descriptor.fields])
    return plan


def _get_nothing(_: Message) -> tuple[Any, ...]:
    return ()


def _getter(names: tuple[str, ...]) -> Callable[[Message], tuple[Any, ...]]:
    if not names:
        return _get_nothing
    if len(names) == 1:
        get_one = attrgetter(names[0])
        return lambda message: (get_one(message),)
    return attrgetter(*names)


def _pairs(value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, JsonObject):
        return value
    if isinstance(value, dict):
        return value.items()
    raise JsonMismatch("object")


def _elements(value: Any) -> list[Any]:
    if isinstance(value, list) and not isinstance(value, JsonObject):
        return value
    raise JsonMismatch("list")


def _field_of(field: FieldDescriptor) -> _Field:
    holds = field.message_type
    if holds is None:
        scalar = scalar_of(field)
        return _scalar_list_field(field, scalar) if field.is_repeated else _scalar_field(field, scalar)
    if holds.GetOptions().map_entry:
        key, element = holds.fields
        if key.type != FieldDescriptor.TYPE_STRING:
            raise TypeError(f"{field.full_name}: a map whose keys are not strings")
        if element.message_type is None:
            return _scalar_map_field(field, scalar_of(element))
        return _message_map_field(field, _plan_of(element.message_type))
    if holds.file.name == _WRAPPERS_FILE and not field.is_repeated:
        return _wrapper_field(field, scalar_of(holds.fields[0]))
    plan = _plan_of(holds)
    return _message_list_field(field, plan) if field.is_repeated else _message_field(field, plan)


def _scalar_field(field: FieldDescriptor, scalar: Scalar) -> _Field:
    name = field.name
    read = scalar.read
    write: Callable[[Message, Any], Any] | None = None
    if field.has_presence:

        def write(message: Message, value: Any) -> Any:
            return value if message.HasField(name) else None

    elif field.type == FieldDescriptor.TYPE_BYTES:

        def write(message: Message, value: Any) -> Any:
            return value or None

    # On null, Go clears pointers and bytes, and leaves other scalars unchanged.
    return _Field(name, read=lambda value, _: read(value), write=write, keeps_on_null=write is None)


def _wrapper_field(field: FieldDescriptor, scalar: Scalar) -> _Field:
    name = field.name
    read = scalar.read
    return _Field(
        name,
        read=lambda value, _: {"value": read(value)},
        write=lambda message, value: value.value if message.HasField(name) else None,
    )


def _message_field(field: FieldDescriptor, plan: _Plan) -> _Field:
    name = field.name
    return _Field(
        name,
        read=lambda value, earlier: plan.read(value, {} if earlier is None else earlier),
        write=lambda message, value: plan.write(value) if message.HasField(name) else None,
    )


def _scalar_list_field(field: FieldDescriptor, scalar: Scalar) -> _Field:
    def read(value: Any, _: Any) -> list[Any]:
        return [
            scalar.zero if element is None else _at(index, scalar.read, element)
            for index, element in enumerate(_elements(value))
        ]

    return _Field(field.name, read=read, write=lambda _, values: list(values) or None, is_scalar_list=True)


def _message_list_field(field: FieldDescriptor, plan: _Plan) -> _Field:
    def read(value: Any, _: Any) -> list[Any]:
        return [
            {} if element is None else _at(index, lambda item: plan.read(item, {}), element)
            for index, element in enumerate(_elements(value))
        ]

    return _Field(
        field.name,
        read=read,
        write=lambda _, values: [plan.write(value) for value in values] or None,
        element=plan,
    )


def _scalar_map_field(field: FieldDescriptor, scalar: Scalar) -> _Field:
    def read(value: Any, earlier: Any) -> dict[str, Any]:
        out: dict[str, Any] = {} if earlier is None else earlier
        for key, element in _pairs(value):
            out[key] = scalar.zero if element is None else _at("[]", scalar.read, element)
        return out

    return _Field(
        field.name,
        read=read,
        write=lambda _, values: dict(sorted(values.items())) if values else _LEFT_OUT,
    )


def _message_map_field(field: FieldDescriptor, plan: _Plan) -> _Field:
    def read(value: Any, earlier: Any) -> dict[str, Any]:
        out: dict[str, Any] = {} if earlier is None else earlier
        for key, element in _pairs(value):
            out[key] = {} if element is None else _at("[]", lambda item: plan.read(item, {}), element)
        return out

    return _Field(
        field.name,
        read=read,
        write=lambda _, values: (
            {key: plan.write(values[key]) for key in sorted(values)} if values else _LEFT_OUT
        ),
        element=plan,
        is_map=True,
    )


def _at(place: int | str, read: Callable[[Any], Any], value: Any) -> Any:
    """Read an element. A mismatch names the element's place, but not a map's key, which is part of the data."""
    try:
        return read(value)
    except JsonMismatch as mismatch:
        raise mismatch.under(f"[{place}]" if isinstance(place, int) else place) from None
