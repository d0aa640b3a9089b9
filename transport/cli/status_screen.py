"""`greenroom status`: the state of a running node, on one screen or as JSON. The exit code says whether it is well."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec

from greenroom.actors.status import NodeStatus
from greenroom.persistence.settings import Settings
from greenroom.transport.cli.options import UNREACHABLE, CommandFailed, secret_for
from greenroom.transport.cli.reaching import reaching
from greenroom.transport.cli.urls import api_url
from greenroom.transport.client.api import Api

__all__ = ["ILL", "WELL", "show_status", "status_lines"]

WELL, ILL = 0, 1
_TIMEOUT_S = 5.0
_SHOWN = 20
"""Maximum number of quarantined addresses on the screen. JSON has them all."""


async def show_status(settings: Settings, *, as_json: bool) -> int:
    """Print the node's status. Returns the exit code. Raises CommandFailed."""
    status = await _ask(settings)
    print(msgspec.json.encode(status).decode() if as_json else "\n".join(status_lines(status)))
    return WELL if status.is_healthy else ILL


async def _ask(settings: Settings) -> NodeStatus:
    url, secret = api_url(settings), secret_for(settings)
    with reaching(url):
        async with Api(url, timeout_s=_TIMEOUT_S) as api:
            answer = await api.call("/greenroom/status", {"secret": secret})
    try:
        return msgspec.convert(answer, NodeStatus)
    except msgspec.ValidationError:
        raise CommandFailed(f"no node of this release answers at {url}", exit_code=UNREACHABLE) from None


def status_lines(status: NodeStatus) -> Iterator[str]:
    """The lines for a person: first whether the node is well, then what is wrong, then the figures."""
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(status.started_at / 1000))
    store, quarantined = status.store, status.quarantined
    ills = []
    if store.is_failing:
        ills.append("the store fails")
    if store.reads_damaged:
        ills.append("the store is damaged")
    if quarantined:
        ills.append(f"{len(quarantined):,} in quarantine")
    yield f"greenroom {status.version}: {' and '.join(ills) or 'well'}; up {_lasting(status.up_s)}, since {since}"
    for held in quarantined[:_SHOWN]:
        crashes = f"{_times(held.crashes)} of {held.actor}"
        yield f"  {held.address}: not woken for {held.remaining_s:.0f} s more, after {crashes}"
    if len(quarantined) > _SHOWN:
        yield f"  and {len(quarantined) - _SHOWN:,} more (--json shows all)"
    yield (
        f"{status.connections:,} connections; {status.sends_answered:,} messages acked, {status.pushes:,} pushed"
    )
    yield (
        f"store: {store.slices_stored:,} slices stored, {store.slices_refused:,} refused, "
        f"{store.slices_failed:,} failed, {store.slices_late:,} late; {store.reads_damaged:,} reads met damage"
    )
    limited = status.limited
    if any(msgspec.structs.astuple(limited)):
        yield (
            f"limits: {limited.sends:,} messages, {limited.changes:,} changes and {limited.anonymous:,} requests "
            f"without a token refused; {limited.wrong_secrets:,} wrong secrets"
        )
    for lane in status.lanes:
        yield (
            f"{lane.name}: {lane.waiting_slices:,} slices wait, {lane.batch_slices:,} in flight; "
            f"{lane.batches:,} batches"
        )
    restarted = ", ".join(f"{child} {times:,}" for child, times in status.restarts.items() if times)
    if restarted:
        yield f"restarted after a crash: {restarted}"
    yield ""
    yield f"{'actor':<18}{'awake':>9}{'messages':>13}{'slept':>11}{'crashes':>9}{'unhandled':>11}{'quarantined':>13}"
    for actor in status.actors:
        yield (
            f"{actor.name:<18}{actor.awake:>9,}{actor.messages:>13,}{actor.sleeps:>11,}{actor.crashes:>9,}"
            f"{actor.unhandled:>11,}{actor.quarantined:>13,}"
        )


def _times(crashes: int) -> str:
    return f"{crashes:,} crash{'' if crashes == 1 else 'es'}"


def _lasting(seconds: float) -> str:
    minutes, _ = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{seconds:.0f} s"
