"""Settings: a TOML file overrides the packaged `settings.toml`, and environment variables override both.

`settings.toml` gives each key with its unit, default and reason. This file gives its type and bounds.
"""

from __future__ import annotations

import difflib
import ipaddress
import math
import os
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

__all__ = [
    "AuthSettings",
    "HttpSettings",
    "LimitsSettings",
    "MessageSettings",
    "NodeSettings",
    "OverloadSettings",
    "Settings",
    "SettingsError",
    "StoreSettings",
    "WebSocketSettings",
    "differences",
    "load",
    "packaged",
    "unknown_variables",
]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class NodeSettings(_Section, frozen=True):
    host: str
    ws_port: int
    api_port: int
    data_dir: str
    drain_timeout_s: float
    log_level: str
    log_format: str
    log_file: str


class AuthSettings(_Section, frozen=True):
    secret: str
    """Empty: a secret is generated at the first start and kept in the data directory."""
    admin_user_ids: tuple[str, ...]
    token_expire_days: int
    multi_login_policy: int
    max_tokens_per_platform: int

    def __repr__(self) -> str:
        return "AuthSettings(...)"


class WebSocketSettings(_Section, frozen=True):
    max_connections: int
    connections_per_user: int
    connections_per_token: int
    max_frame_bytes: int
    max_unfolded_bytes: int
    requests_in_flight: int
    outbox_limit_frames: int
    outbox_limit_bytes: int
    handshake_timeout_s: float
    read_timeout_s: float
    write_timeout_s: float
    ping_interval_s: float
    control_frames_per_s: float
    watched_users_limit: int


class HttpSettings(_Section, frozen=True):
    max_connections: int
    max_head_bytes: int
    max_body_bytes: int
    bodies_limit_bytes: int
    answers_limit_bytes: int
    requests_in_flight: int
    requests_in_flight_per_user: int
    keep_alive_s: float
    head_timeout_s: float
    body_timeout_s: float
    write_timeout_s: float
    metrics: bool
    """Whether GET /metrics answers. It needs no token."""


class OverloadSettings(_Section, frozen=True):
    answer_within_s: float
    requests_floor: int
    patience_s: float


class LimitsSettings(_Section, frozen=True):
    sends_per_s: float
    sends_burst: int
    changes_per_s: float
    changes_burst: int
    anonymous_per_s: float
    anonymous_burst: int
    exempt_loopback: bool
    trusted_proxies: tuple[str, ...]
    """Addresses or networks."""


class MessageSettings(_Section, frozen=True):
    friend_verify: bool
    history_for_new_members: bool
    sends_in_flight: int
    """Number of unanswered sends to one conversation."""
    mark_seqs_limit: int
    facts_ttl_s: float
    idle_timeout_s: float


class StoreSettings(_Section, frozen=True):
    writer: str
    lanes: int
    batch_slices: int
    batch_interval_ms: float
    write_timeout_s: float
    events_limit: int


class Settings(_Section, frozen=True):
    node: NodeSettings
    auth: AuthSettings
    websocket: WebSocketSettings
    http: HttpSettings
    overload: OverloadSettings
    limits: LimitsSettings
    message: MessageSettings
    store: StoreSettings

    @staticmethod
    def load(
        path: str | os.PathLike[str] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Settings:
        """The settings as the command has them, for a program that has a node in it: see `load` in this file."""
        return load(path, environ=environ, overrides=overrides)


_PREFIX = "GREENROOM_"
_SHORT = {"GREENROOM_SECRET": ("auth", "secret")}
"""Variables whose names do not contain their section."""

_Tables = dict[str, dict[str, Any]]
_SECTIONS: dict[str, dict[str, Any]] = {
    name: get_type_hints(section) for name, section in get_type_hints(Settings).items()
}
"""The type of each key, by section."""


class SettingsError(ValueError):
    """A setting that cannot be used. Its text is one line: the source of the setting, and the problem. It never shows a
    secret."""


def packaged() -> str:
    """The text of the packaged `settings.toml`, which explains every key."""
    return files("greenroom").joinpath("settings.toml").read_text(encoding="utf-8")


def load(
    path: str | os.PathLike[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    names: Mapping[str, str] | None = None,
) -> Settings:
    """The settings of this node. `environ` is the process's environment by default. `overrides`
    ({section: {key: value}}) override everything else; a None in them is ignored. `names` are those that the user gave
    to overrides ("section.key" -> "--option"). Raises SettingsError."""
    tables: _Tables = tomllib.loads(packaged())
    sources = {(section, key): "settings.toml" for section, keys in tables.items() for key in keys}

    def override(source: str, given: Mapping[str, Mapping[str, Any]]) -> None:
        for section, keys in given.items():
            for key, value in keys.items():
                tables[section][key] = value
                sources[section, key] = source

    if path is not None:
        override(os.fspath(path), _read(Path(path)))
    for name, (section, key, value) in _from_environment(os.environ if environ is None else environ).items():
        override(name, {section: {key: value}})
    if overrides is not None:
        chosen = {
            section: {key: value for key, value in keys.items() if value is not None}
            for section, keys in overrides.items()
        }
        _check_names("the overrides", chosen)
        override("the overrides", chosen)
        for section, keys in chosen.items():
            for key in keys:
                sources[section, key] = (names or {}).get(f"{section}.{key}", "the overrides")
    return _convert(tables, sources)


def differences(one: Settings, other: Settings | None = None) -> dict[str, Any]:
    """The keys ("section.key") whose value in `one` differs from the value in `other`, or from the default, with the
    value in `one`. A secret is shown as "(set)"."""
    other = load(environ={}) if other is None else other
    found = {
        f"{section}.{key}": getattr(getattr(one, section), key)
        for section, keys in _SECTIONS.items()
        for key in keys
        if getattr(getattr(one, section), key) != getattr(getattr(other, section), key)
    }
    if "auth.secret" in found:
        found["auth.secret"] = "(set)"
    return found


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """The variables that look like settings and are none, each with the nearest setting. Their values are not shown."""
    valid = [name.removeprefix(_PREFIX) for name in _SHORT]
    valid += [f"{section}_{key}".upper() for section, keys in _SECTIONS.items() for key in keys]
    found = []
    for name in sorted(environ):
        key = name.upper().removeprefix(_PREFIX)
        if name.upper().startswith(_PREFIX) and name not in (f"{_PREFIX}{setting}" for setting in valid):
            close = difflib.get_close_matches(key, valid, n=1)
            found.append(f"{name} (did you mean {_PREFIX}{close[0]}?)" if close else name)
    return found


def _read(path: Path) -> _Tables:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise SettingsError(f"{path}: {problem.strerror}") from None
    except ValueError as problem:
        raise SettingsError(f"{path}: {problem}") from None
    _check_names(os.fspath(path), tables)
    return tables


def _check_names(source: str, tables: Mapping[str, Any]) -> None:
    for section, keys in tables.items():
        if section not in _SECTIONS:
            raise SettingsError(f"{source}: there is no section [{section}]{_nearest(section, _SECTIONS)}")
        if not isinstance(keys, Mapping):
            raise SettingsError(f"{source}: {section} is a section, not a value")
        for key in keys:
            if key not in _SECTIONS[section]:
                raise SettingsError(
                    f"{source}: [{section}] has no key {key!r}{_nearest(key, _SECTIONS[section], section)}"
                )


def _nearest(name: str, valid: Mapping[str, Any], section: str = "") -> str:
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    elsewhere = [other for other, keys in _SECTIONS.items() if section and name in keys]
    return f"; it belongs to [{elsewhere[0]}]" if elsewhere else f"; it has {', '.join(valid)}"


def _from_environment(environ: Mapping[str, str]) -> dict[str, tuple[str, str, Any]]:
    """The section, key and value of each variable whose name contains a section. Other variables are ignored."""
    found = {}
    for name in sorted(environ):
        if name in _SHORT:
            found[name] = (*_SHORT[name], environ[name])
            continue
        section, _, key = name.removeprefix(_PREFIX).lower().partition("_")
        if not name.startswith(_PREFIX) or section not in _SECTIONS:
            continue
        if key not in _SECTIONS[section]:
            raise SettingsError(
                f"{name}: [{section}] has no key {key!r}{_nearest(key, _SECTIONS[section], section)}"
            )
        found[name] = (section, key, _typed(name, environ[name], _SECTIONS[section][key]))
    return found


def _typed(name: str, text: str, kind: Any) -> Any:
    if kind is str:
        return text
    if kind == tuple[str, ...]:
        return [item.strip() for item in text.split(",") if item.strip()]
    try:
        return msgspec.convert(text.strip().lower(), kind, strict=False)
    except msgspec.ValidationError:
        raise SettingsError(f"{name}: not {_KINDS[kind]}") from None


_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def _convert(tables: _Tables, sources: Mapping[tuple[str, str], str]) -> Settings:
    for section, keys in tables.items():
        for key, value in keys.items():
            problem = _problem_of(f"{section}.{key}", value, _SECTIONS[section][key])
            if problem:
                raise SettingsError(f"{sources[section, key]}: [{section}] {key}: {problem}")
    return msgspec.convert(tables, Settings)


def _problem_of(name: str, value: Any, kind: Any) -> str:
    """The problem of a value, or an empty text. It never shows the value of a text, which may be a secret."""
    if kind == tuple[str, ...]:
        if not (isinstance(value, list | tuple) and all(isinstance(item, str) and item for item in value)):
            return "must be a list of texts"
        wrong = [item for item in value if name in _NETWORKS and not _is_network(item)]
        return f"{wrong[0]!r} is neither an address nor a network" if wrong else ""
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind:
        return f"must be {_KINDS[kind]}"
    if name in _CHOICES:
        return "" if value in _CHOICES[name] else f"must be one of {', '.join(map(str, _CHOICES[name]))}"
    if name in _MAY_BE_EMPTY or kind is bool:
        return ""
    if kind is str:
        return "" if value else "must not be empty"
    low, high = _RANGES.get(name, (_LEAST[kind], _MOST))
    return "" if low <= value <= high else f"{_plain(value)} is out of range ({_plain(low)} to {_plain(high)})"


def _plain(number: float) -> str:
    """All digits of a number, without an exponent."""
    return f"{int(number)}" if math.isfinite(number) and number == int(number) else str(number)


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


_MOST = 1e12
_LEAST = {int: 1, float: 0.001}
_MAY_BE_EMPTY = frozenset({"auth.secret", "node.log_file"})
_NETWORKS = frozenset({"limits.trusted_proxies"})
_CHOICES: dict[str, tuple[str | int, ...]] = {
    "node.log_level": ("debug", "info", "warning", "error"),
    "node.log_format": ("auto", "console", "json"),
    "auth.multi_login_policy": (0, 1, 4, 5),
    "store.writer": ("process", "thread"),
}
_RANGES: dict[str, tuple[float, float]] = {
    "node.ws_port": (0, 65535),
    "node.api_port": (0, 65535),
    "node.drain_timeout_s": (0, 3600),
    "auth.token_expire_days": (1, 36500),
    "websocket.max_frame_bytes": (1024, 2**31),
    "websocket.max_unfolded_bytes": (1024, 2**31),
    "http.max_head_bytes": (1024, 2**20),
    "http.max_body_bytes": (1024, 2**31),
    "store.lanes": (1, 64),
    "store.batch_interval_ms": (0, 10_000),
}
