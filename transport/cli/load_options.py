"""The options of `greenroom load`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

__all__ = ["LoadOptions"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """The run, the server, and the files for the results."""

    users: Annotated[int | None, Parameter(help="Virtual users.")] = None
    rate: Annotated[float | None, Parameter(help="Messages per second of all users together (open loop).")] = None
    for_: Annotated[str | None, Parameter(name="--for", help="Time at the full rate, such as 30s or 5m.")] = None
    closed: Annotated[
        bool, Parameter(negative="", help="Closed loop: users think between an answer and the next send.")
    ] = False
    find_capacity: Annotated[
        bool,
        Parameter(
            negative="", help="Search for the highest rate at which the thresholds hold; --for is the time of a trial."
        ),
    ] = False
    processes: Annotated[int, Parameter(help="Number of processes that share the users.")] = 1
    seed: Annotated[int | None, Parameter(help="The same seed repeats the plan.")] = None
    set_: Annotated[
        tuple[str, ...],
        Parameter(
            name="--set",
            negative="",
            show_default=False,
            help="Set a value of the scenario: step.key=value or section.key=value.",
        ),
    ] = ()
    ws: Annotated[str | None, Parameter(help="The server's WebSocket gateway, such as ws://127.0.0.1:10001.")] = None
    api: Annotated[str | None, Parameter(help="The server's HTTP API, such as http://127.0.0.1:10002.")] = None
    secret: Annotated[
        str | None, Parameter(help="The server's secret. Default: GREENROOM_SECRET, or the one in the data folder.")
    ] = field(default=None, repr=False)
    ca: Annotated[
        Path | None, Parameter(help="PEM file of the authority that signed the server's certificate (wss, https).")
    ] = None
    server_pid: Annotated[
        tuple[int, ...],
        Parameter(
            negative="",
            show_default=False,
            help="Process ids of the server on this machine, to measure its CPU and memory.",
        ),
    ] = ()
    history: Annotated[Path | None, Parameter(help="Keep the history here, for `greenroom judge`.")] = None
    html: Annotated[Path | None, Parameter(help="The report. Default: greenroom-load-SCENARIO.html.")] = None
    json: Annotated[Path | None, Parameter(help="The figures. Default: greenroom-load-SCENARIO.json.")] = None
