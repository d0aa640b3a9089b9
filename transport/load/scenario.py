"""Scenarios: the actions of a load's users, read from TOML into typed steps. The error for a wrong key names the key.

All steps of a scenario run at the same time, each in its window (`from_share` to `to_share` of the load).
"""

from __future__ import annotations

import difflib
import re
import tomllib
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from greenroom.actors.wire.vocabulary import Platform

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = [
    "Churn", "ClientSettings", "DirectTalk", "GroupTalk", "Idle", "Offline", "Pace", "Scenario", "ScenarioError",
    "Slow", "Step", "Storm", "Thresholds", "parse", "shipped", "with_values",
]  # fmt: skip


class ScenarioError(ValueError):
    """A scenario that cannot be run. The text names the key and its valid values."""


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Pace(_Table, frozen=True, kw_only=True):
    """How messages are planned. Open: on a schedule that does not wait for answers. Closed: each user sends their next
    message a think time after the answer to the last one."""

    mode: Literal["open", "closed"] = "open"
    arrivals: Literal["poisson", "even"] = "poisson"
    rate_per_s: float = 100.0
    """Messages per second of all users together. Only for the open loop."""
    ramp_s: float = 2.0
    """Seconds during which the rate grows from 0. Messages sent in this time are judged, but not measured."""
    hold_s: float = 30.0
    think_s: tuple[float, float] = (0.5, 2.0)
    """Closed loop: the shortest and the longest think time."""
    drain_s: float = 20.0
    """Maximum number of seconds for receivers to catch up, after the last answer."""


class ClientSettings(_Table, frozen=True, kw_only=True):
    """The kind of clients that the virtual users have."""

    envelope: Literal["go", "js"] = "go"
    gzip: bool = True
    platforms: tuple[int, ...] = (Platform.WEB,)
    """Each user has one device on each of these platforms."""
    connects_per_s: float = 500.0
    request_timeout_s: float = 10.0
    reconnect_base_s: float = 1.0
    """The base of the waits before reconnecting (see `transport/client/backoff.py`)."""
    resend: bool = False
    """When a connection ends, but not through a step of the scenario, its pending messages are sent again with the same
    ids, if they are to be stored. Otherwise they count as failed."""


class Thresholds(_Table, frozen=True, kw_only=True):
    """The limits that must hold for exit code 0. A latency limit of 0 is not checked."""

    ack_p99_ms: float = 1000.0
    delivery_p99_ms: float = 2000.0
    """The limit for pushed messages. Messages that were pulled after an absence do not count."""
    login_p99_ms: float = 0.0
    error_share: float = 0.001
    """The share of sends that are not acked. Here 0 means that every send must be acked."""
    times_in_order: bool = False
    """Whether a sendTime that decreases while the seq increases is a violation. By default it is only a finding."""
    harness_lag_p99_ms: float = 250.0
    """The lag of the harness's own loop. Above this limit, the harness was the bottleneck, not the server."""
    harness_cpu_share: float = 0.95
    """The share of one core that each process of the harness may use."""


class _Step(_Table, frozen=True, kw_only=True, tag_field="kind"):
    name: str = ""
    """The step's name for `--set NAME.key=value`. Default: the step's kind."""
    from_share: float = 0.0
    to_share: float = 1.0


class _Talk(_Step, frozen=True, kw_only=True):
    weight: float = 1.0
    """The step's part of the rate, relative to the other steps that send."""
    payload_bytes: tuple[int, int] = (16, 256)
    stored: bool = True
    """False: the messages are only pushed, like a typing sign."""


class DirectTalk(_Talk, frozen=True, kw_only=True, tag="direct"):
    """The users write to each other in pairs: 0 and 1, 2 and 3, ..."""


class GroupTalk(_Talk, frozen=True, kw_only=True, tag="group"):
    """Users write to their groups; all members receive the messages."""

    groups: int = 1
    members: int = 0
    """Number of members of each group. 0: all users, divided evenly among the groups."""


class Idle(_Step, frozen=True, kw_only=True, tag="idle"):
    """Users do nothing: their connections are held open."""


class Offline(_Step, frozen=True, kw_only=True, tag="offline"):
    """A share of the users goes offline at the start of the window, reconnects at its end, and must receive all missed
    messages."""

    share: float = 0.3


class Slow(_Step, frozen=True, kw_only=True, tag="slow"):
    """A share of the users repeatedly stops reading for a while."""

    share: float = 0.1
    pause_s: float = 2.0
    every_s: float = 5.0


class Churn(_Step, frozen=True, kw_only=True, tag="churn"):
    """A share of the users repeatedly loses the connection and connects again."""

    share: float = 0.3
    every_s: float = 5.0
    half_open_share: float = 0.3
    """The share of losses in which the old connection stays open, but is no longer read or written, as when a phone
    leaves the network."""
    resend: bool = True
    """Messages that are pending when the connection is lost are sent again with the same ids. A server that does not
    check the ids stores them twice."""


class Storm(_Step, frozen=True, kw_only=True, tag="storm"):
    """All users lose the connection at the same time, and log in again within a short time."""

    share: float = 1.0
    times: int = 2
    over_s: float = 1.0


Step = DirectTalk | GroupTalk | Idle | Offline | Slow | Churn | Storm


class Scenario(_Table, frozen=True, kw_only=True):
    title: str = ""
    users: int = 100
    seed: int = 1
    """The same seed makes the same plan: senders, messages, receivers and times."""
    pace: Pace = Pace()
    client: ClientSettings = ClientSettings()
    thresholds: Thresholds = Thresholds()
    step: tuple[Step, ...] = ()

    @property
    def talks(self) -> tuple[DirectTalk | GroupTalk, ...]:
        """The steps that send."""
        return tuple(step for step in self.step if isinstance(step, DirectTalk | GroupTalk))


_SECTIONS: dict[str, type[_Table]] = {"pace": Pace, "client": ClientSettings, "thresholds": Thresholds}
_KINDS: dict[str, type[_Table]] = {str(kind.__struct_config__.tag): kind for kind in get_args(Step)}


def shipped() -> dict[str, str]:
    """The scenarios of the package: name -> text."""
    folder = files("greenroom.transport.load").joinpath("scenarios")
    found = {entry.name: entry.read_text() for entry in folder.iterdir() if entry.name.endswith(".toml")}
    return {name.removesuffix(".toml"): text for name, text in sorted(found.items())}


def parse(text: str, *, source: str) -> Scenario:
    """Parse a scenario from TOML. Raises ScenarioError."""
    try:
        return _build(tomllib.loads(text))
    except tomllib.TOMLDecodeError as problem:
        raise ScenarioError(f"{source}: not TOML: {problem}") from None
    except ScenarioError as problem:
        raise ScenarioError(f"{source}: {problem}") from None


def with_values(text: str, values: dict[str, str], *, source: str) -> Scenario:
    """Parse a scenario, with some values replaced: `step.key`, `section.key` or `key` -> value, as text from a command
    line. With fewer users than the text has, its groups become smaller or fewer. Raises ScenarioError."""
    try:
        table = tomllib.loads(text)
        for path, value in values.items():
            _set(table, path, value)
        if "users" in values:
            _fit_groups(table, values)
        return _build(table)
    except tomllib.TOMLDecodeError as problem:
        raise ScenarioError(f"{source}: not TOML: {problem}") from None
    except ScenarioError as problem:
        raise ScenarioError(f"{source}: {problem}") from None


def _set(table: dict[str, Any], path: str, value: str) -> None:
    home, _, key = path.rpartition(".")
    if not home:
        table[key] = _literal(value)
        return
    if home in _SECTIONS:
        table.setdefault(home, {})[key] = _literal(value)
        return
    steps = [step for step in _rows(table.get("step", [])) if home in (step.get("name"), step.get("kind"))]
    if not steps:
        names = [*_SECTIONS, *(str(step.get("name") or step.get("kind")) for step in _rows(table.get("step", [])))]
        raise ScenarioError(f"there is no step or section {home!r}{_nearest(home, names)}")
    for step in steps:
        step[key] = _literal(value)


def _fit_groups(table: dict[str, Any], given: Container[str]) -> None:
    """Let no group have more members than there are users, and share the users among no more groups than have two
    members each. What was given stays as it is."""
    users = table["users"]
    if type(users) is not int or users < 2:
        return
    for step in _rows(table.get("step", [])):
        if step.get("kind") != GroupTalk.__struct_config__.tag:
            continue
        key, most = ("members", users) if step.get("members") else ("groups", users // 2)
        value, homes = step.get(key), (step.get("name"), step["kind"])
        if type(value) is int and value > most and not any(f"{home}.{key}" in given for home in homes):
            step[key] = most


def _literal(text: str) -> Any:
    try:
        return tomllib.loads(f"it = {text}")["it"]
    except tomllib.TOMLDecodeError:
        return text


def _rows(value: Any) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _build(table: dict[str, Any]) -> Scenario:
    _refuse_unknown(table, Scenario, "")
    for name, kind in _SECTIONS.items():
        if isinstance(table.get(name), dict):
            _refuse_unknown(table[name], kind, f"[{name}] ")
    for number, row in enumerate(_rows(table.get("step", [])), 1):
        where = f"[[step]] {number} "
        kind_name = row.get("kind")
        if kind_name is None:
            raise ScenarioError(f"{where}has no kind: one of {', '.join(_KINDS)}")
        if kind_name not in _KINDS:
            near = _nearest(kind_name, _KINDS)
            raise ScenarioError(f"{where}kind {kind_name!r} is none of {', '.join(_KINDS)}{near}")
        _refuse_unknown({key: value for key, value in row.items() if key != "kind"}, _KINDS[kind_name], where)
    try:
        scenario = msgspec.convert(table, Scenario)
    except msgspec.ValidationError as problem:
        raise ScenarioError(_in_words(str(problem))) from None
    _check(scenario)
    return scenario


def _in_words(problem: str) -> str:
    """The text of a msgspec error, in the words of a scenario: the key as the user wrote it, and what it must be."""
    text, _, place = problem.partition(" - at `$")
    found = re.fullmatch(r"\.?(?:step\[(\d+)\]\.?)?(?:(pace|client|thresholds)\.)?(\w*)(?:\[[\d.]*\])?`", place)
    if found is None:
        return problem
    number, section, key = found.groups()
    where = f"[[step]] {int(number) + 1} " if number else f"[{section}] " if section else ""
    types = re.match(r"Expected `(.*)`, got `(.*)`$", text)
    if types is None:
        return f"{where}{key}: {text[:1].lower()}{text[1:]}"
    wanted, got = (_TYPES.get(name.partition(" |")[0], name) for name in types.groups())
    return f"{where}{key}: must be {wanted}, not {got}"


_TYPES = {
    "int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text", "array": "a list",
    "object": "a table",
}  # fmt: skip
"""The types of TOML values, by msgspec's names."""


def _refuse_unknown(table: dict[str, Any], kind: type[_Table], where: str) -> None:
    for key in table:
        if key not in kind.__struct_fields__:
            raise ScenarioError(f"{where}there is no key {key!r}{_nearest(key, kind.__struct_fields__)}")


def _nearest(name: Any, valid: Any) -> str:
    close = difflib.get_close_matches(str(name), list(valid), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def _check(scenario: Scenario) -> None:
    def want(good: bool, text: str) -> None:
        if not good:
            raise ScenarioError(text)

    want(bool(scenario.step), "there is no [[step]]")
    want(1 <= scenario.users <= 1_000_000, "users: 1 to 1000000")
    pace = scenario.pace
    want(0 < pace.rate_per_s <= 1e6, "[pace] rate_per_s: more than 0")
    want(pace.hold_s > 0 and pace.ramp_s >= 0 and pace.drain_s >= 0, "[pace] seconds: not below 0, hold_s above")
    want(0 <= pace.think_s[0] <= pace.think_s[1], "[pace] think_s: the shortest, then the longest")
    want(bool(scenario.client.platforms), "[client] platforms: at least one")
    want(scenario.client.connects_per_s > 0, "[client] connects_per_s: more than 0")
    for step in scenario.step:
        where = f"[[step]] {step.name or step.__struct_config__.tag}: "
        want(0 <= step.from_share < step.to_share <= 1, f"{where}0 <= from_share < to_share <= 1")
        if isinstance(step, DirectTalk | GroupTalk):
            low, high = step.payload_bytes
            want(0 < low <= high <= 32_768, f"{where}payload_bytes: 1 to 32768, the smallest first")
            want(step.weight > 0, f"{where}weight: more than 0")
            want(scenario.users >= 2, f"{where}users: at least two")
        if isinstance(step, GroupTalk):
            members = step.members or scenario.users // max(1, step.groups)
            want(step.groups >= 1, f"{where}groups: at least one")
            want(2 <= members <= scenario.users, f"{where}members: 2 to the number of users ({scenario.users})")
        if isinstance(step, Offline | Slow | Churn | Storm):
            want(0 < step.share <= 1, f"{where}share: above 0, up to 1")
        if isinstance(step, Slow | Churn):
            want(step.every_s > 0, f"{where}every_s: more than 0")
