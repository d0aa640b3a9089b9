"""GET pages for operators: whether the node is alive, whether it is ready, and its counters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from greenroom.transport.http.access import ANYONE
from greenroom.transport.http.response import HttpResponse, not_found
from greenroom.transport.http.table import plain

if TYPE_CHECKING:
    from greenroom.transport.http.call import Call
    from greenroom.transport.http.http_request import HttpRequest

__all__ = ["ROUTES"]


async def healthz(call: Call, request: HttpRequest) -> HttpResponse:
    """Whether the process is alive. Nothing is asked, so that a store that fails does not get the node restarted."""
    return HttpResponse(b'{"status":"ok"}')


async def readyz(call: Call, request: HttpRequest) -> HttpResponse:
    """Whether the node can serve. If not, 503 with the reason."""
    reason = await call.engine.not_ready()
    if reason:
        return HttpResponse(msgspec.json.encode({"status": "not ready", "reason": reason}), 503)
    return HttpResponse(b'{"status":"ready"}')


async def metrics(call: Call, request: HttpRequest) -> HttpResponse:
    """Requires no token, as is the convention for scrapers. There is no page if the setting `http.metrics` is off."""
    if not call.engine.settings.http.metrics:
        return not_found()
    # Imported here, because most nodes are never scraped, and Prometheus' library takes half a megabyte.
    from greenroom.transport.http.metrics import CONTENT_TYPE, Metrics

    return HttpResponse(Metrics(call.engine.status).render(), content_type=CONTENT_TYPE)


ROUTES = (
    plain("GET", "/healthz", ANYONE, healthz),
    plain("GET", "/readyz", ANYONE, readyz),
    plain("GET", "/metrics", ANYONE, metrics),
)
