"""`greenroom load`: read the options, run the load, and write the report. The exit code is the result."""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path

from rich.console import Console

from greenroom.transport.cli.load_options import LoadOptions
from greenroom.transport.cli.options import CommandFailed, NodeOptions, secret_for
from greenroom.transport.cli.urls import api_url, ws_url
from greenroom.transport.client.printable import printable
from greenroom.transport.listening import raise_descriptor_limit
from greenroom.transport.load.exit_codes import BadInput, Exit
from greenroom.transport.load.figures import Figures
from greenroom.transport.load.live import view_for
from greenroom.transport.load.report import VERDICTS, as_html, as_json
from greenroom.transport.load.runner import Runner
from greenroom.transport.load.scenario import Scenario, ScenarioError, shipped, with_values
from greenroom.transport.load.server_watch import ServerWatch, process_exists
from greenroom.transport.load.target import Target
from greenroom.transport.load.worker import PartDied, tune_collector

__all__ = ["load"]

FILES_BESIDES_USERS = 64
ONE_INTERRUPT_S = 1.0
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


def load(name: str, options: LoadOptions, node: NodeOptions) -> int:
    """Run the load. Returns the exit code. Raises BadInput."""
    scenario = _scenario(name, options)
    for pid in options.server_pid:
        if not process_exists(pid):
            raise BadInput(Exit.USAGE, f"--server-pid {pid}: there is no such process on this machine")
    settings = node.of_running()
    secret = options.secret
    if secret is None:
        try:
            secret = secret_for(settings)
        except CommandFailed as problem:
            raise BadInput(Exit.NOT_ALLOWED, str(problem)) from None
    admins = settings.auth.admin_user_ids
    target = Target(
        ws_url=options.ws or ws_url(settings),
        api_url=options.api or api_url(settings),
        secret=secret,
        admin_id=admins[0] if admins else "imAdmin",
        ca=str(options.ca.absolute()) if options.ca is not None else "",
    )
    if options.processes < 1:
        raise BadInput(Exit.USAGE, "--processes: at least 1")
    devices = scenario.users * len(scenario.client.platforms)
    limit = raise_descriptor_limit() - FILES_BESIDES_USERS
    if devices > limit * options.processes:
        needed = -(-devices // limit)
        raise BadInput(Exit.USAGE, f"{devices} devices need --processes {needed}: a process may open {limit} files")
    tune_collector()
    label = Path(name).stem
    history = options.history or Path(f"greenroom-load-{label}.history")
    html = options.html or Path(f"greenroom-load-{label}.html")
    json = options.json or Path(f"greenroom-load-{label}.json")
    for file in (history, html, json):
        if not file.absolute().parent.is_dir():
            raise BadInput(Exit.NO_FILE, f"{file}: there is no such folder")
    console = Console()
    with view_for(console, f"greenroom load {label}") as view:
        runner = Runner(
            scenario,
            name=label,
            target=target,
            view=view,
            watch=ServerWatch(options.server_pid),
            history=history,
            processes=options.processes,
            find_capacity=options.find_capacity,
        )
        try:
            figures = asyncio.run(_until_signal(runner))
        except PartDied as problem:
            raise BadInput(Exit.BROKEN, f"the harness itself failed: {problem}") from None
    if options.history is None and figures.exit_code not in (Exit.INCORRECT, Exit.INCONCLUSIVE):
        for file in runner.history_files:
            file.unlink(missing_ok=True)
    else:
        figures.history = " ".join(map(str, runner.history_files))
    html.write_text(as_html(figures))
    json.write_bytes(as_json(figures))
    _summarise(console, figures, html, json)
    return figures.exit_code


async def _until_signal(runner: Runner) -> Figures:
    """Run to the end. The first Ctrl-C ends the load in good order, a second one at once."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        runner.interrupt()
        # Later, because one Ctrl-C may arrive twice: from the terminal, and from the program that started this one.
        loop.call_later(ONE_INTERRUPT_S, loop.remove_signal_handler, signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, stop)
    loop.add_signal_handler(signal.SIGTERM, runner.interrupt)
    return await runner.run()


def _scenario(name: str, options: LoadOptions) -> Scenario:
    path = Path(name)
    texts = shipped()
    if name in texts:
        text = texts[name]
    elif path.suffix == ".toml":
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as problem:
            raise BadInput(Exit.NO_FILE, f"{path}: {getattr(problem, 'strerror', None) or problem}") from None
    else:
        raise BadInput(Exit.USAGE, f"there is no scenario {name!r}: one of {', '.join(texts)}, or a .toml file")
    values: dict[str, str] = {}
    for setting in options.set_:
        key, equals, value = setting.partition("=")
        if not equals:
            raise BadInput(Exit.USAGE, f"--set {setting}: expected step.key=value")
        values[key.strip()] = value.strip()
    given = {
        "users": options.users,
        "seed": options.seed,
        "pace.rate_per_s": options.rate,
        "pace.hold_s": None if options.for_ is None else _seconds(options.for_),
        "pace.mode": "closed" if options.closed else None,
    }
    values.update({key: str(value) for key, value in given.items() if value is not None})
    try:
        return with_values(text, values, source=name)
    except ScenarioError as problem:
        raise BadInput(Exit.USAGE, str(problem)) from None


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|)", text.strip())
    if match is None:
        raise BadInput(Exit.USAGE, f"--for {text}: expected a time such as 30s, 500ms or 5m")
    return float(match[1]) * _UNITS[match[2]]


def _summarise(console: Console, figures: Figures, html: Path, json: Path) -> None:
    def say(line: str) -> None:
        console.print(printable(line), highlight=False, markup=False, soft_wrap=True)

    counts = figures.counts
    if figures.interrupted:
        say("Interrupted: these are the results up to then.")
    say(
        f"{counts['sent']} sent, {counts['acked']} acked, {counts['failed']} failed, "
        f"{counts['received']} received ({counts['pulled']} of them pulled), "
        f"{figures.connections} connections at most, {counts['broken_connections']} of them broke off"
    )
    for name, ladder in (("ack", figures.ack_ms), ("delivery", figures.delivery_ms), ("login", figures.login_ms)):
        steps = "  ".join(f"p{at} {ladder[at]:.1f}" for at in ("50", "90", "99", "99.9", "99.99") if at in ladder)
        say(f"{name} ms: {steps}  highest {ladder['100']:.1f}" if ladder else f"{name} ms: not measured")
    if figures.capacity_per_s:
        say(f"capacity: {figures.capacity_per_s:g} messages/s, in {len(figures.trials)} trials")
    elif figures.capacity_per_s is not None:
        say(f"capacity: not found, in {len(figures.trials)} trials")
    if figures.server_cpu_s is not None:
        rss, each = figures.server_rss_peak_bytes or 0, figures.server_bytes_per_connection or 0.0
        say(
            f"server: {figures.server_cpu_s:.1f} s CPU, {rss / 2**20:.0f} MiB at most, "
            f"{each / 1024:.1f} KiB more for each connection"
        )
    harness = figures.harness
    if harness is not None:
        say(
            f"harness: {harness.cpu_s:.1f} s CPU, {harness.cpu_us_per_message:.0f} us for each message, "
            f"loop lag p99 {harness.lag_p99_ms:.1f} ms, {harness.rss_bytes / 2**20:.0f} MiB"
        )
    if figures.not_caught_up:
        say(f"{figures.not_caught_up} devices had not caught up when the drain ended after {figures.drain_s:.1f} s")
    for reason, times in list(figures.errors.items())[:5]:
        say(f"error, {times} times: {reason}")
    say(f"{VERDICTS[figures.exit_code]} (exit code {int(figures.exit_code)})")
    for reason in figures.reasons:
        say(f"  {reason}")
    for remark in figures.remarks:
        if remark not in figures.reasons:
            say(f"note: {remark}")
    say(f"report: {html}  figures: {json}{f'  history: {figures.history}' if figures.history else ''}")
