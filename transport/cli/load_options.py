"""The options of `greenroom load`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

__all__ = ["LoadOptions"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """What to run, against which server, and where the results go."""

    users: Annotated[int | None, Parameter(help="Virtual users.")] = None
    rate: Annotated[float | None, Parameter(help="Messages a second of all together (open loop).")] = None
    for_: Annotated[str | None, Parameter(name="--for", help="How long at the full rate, such as 30s or 5m.")] = None
    closed: Annotated[bool, Parameter(negative="", help="Closed loop: users think between answer and send.")] = False
    find_capacity: Annotated[
        bool, Parameter(negative="", help="Search the highest rate at which the thresholds hold; --for is a trial's.")
    ] = False
    processes: Annotated[int, Parameter(help="Processes that share the users.")] = 1
    seed: Annotated[int | None, Parameter(help="The same seed repeats the plan.")] = None
    set_: Annotated[
        tuple[str, ...], Parameter(name="--set", help="A value of the scenario: step.key=value, section.key=value.")
    ] = ()
    ws: Annotated[str | None, Parameter(help="The server's WebSocket gateway, such as ws://127.0.0.1:10001.")] = None
    api: Annotated[str | None, Parameter(help="The server's HTTP API, such as http://127.0.0.1:10002.")] = None
    secret: Annotated[
        str | None, Parameter(help="The server's secret; else GREENROOM_SECRET, or the data folder's.")
    ] = None
    server_pid: Annotated[
        tuple[int, ...], Parameter(help="Processes of the server on this machine, for its CPU and memory.")
    ] = ()
    history: Annotated[Path | None, Parameter(help="Keep the history here, for `greenroom judge`.")] = None
    html: Annotated[Path | None, Parameter(help="The report; greenroom-load-SCENARIO.html if not given.")] = None
    json: Annotated[Path | None, Parameter(help="The figures; greenroom-load-SCENARIO.json if not given.")] = None
