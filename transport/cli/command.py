"""The commands and their options. Each command is implemented in a file beside this one.

A command imports its file when it runs. If all files were imported at the top, every command would start 0.3 s later.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Annotated, TypeVar

from cyclopts import App, CycloptsError, Parameter

from greenroom.actors.wire.vocabulary import Platform
from greenroom.persistence.settings import SettingsError
from greenroom.transport.cli.load_options import LoadOptions
from greenroom.transport.cli.options import CommandFailed, NodeOptions
from greenroom.transport.cli.problems import FAILED, complain, exit_code_of
from greenroom.transport.client.errors import ClientError
from greenroom.transport.load.exit_codes import BadInput

__all__ = ["StartNode", "main"]

MISUSED = 2
JUDGING = ("judge", "load", "status")
"""Commands that use the exit codes up to 63 for their results."""
JUDGING_MISUSED, JUDGING_FAILED = 64, 74
_Answer = TypeVar("_Answer")
_DEFAULTS = NodeOptions()
_LOAD_DEFAULTS = LoadOptions()
_SCENARIOS = files("greenroom.transport.load.scenarios")
_SHIPPED = ", ".join(sorted(path.name[:-5] for path in _SCENARIOS.iterdir() if path.name.endswith(".toml")))
"""The names of the shipped scenarios."""

StartNode = Callable[[NodeOptions], int]
"""Runs a node until it is asked to stop, and returns the exit code. `__main__`, which knows the node, passes it in."""


def main(arguments: Sequence[str], *, start_node: StartNode) -> int:
    """Run one command line. Exit codes: 0 success, 1 failure, 2 misuse, 69 no node answers, 77 the secret is wrong or
    missing. Unless it is 0, one line on stderr has the reason.

    Commands that judge use 2 for a result; for them, misuse is 64 and other bad input is above 64.
    """
    judging = bool(arguments) and arguments[0] in JUDGING
    misused, failed = (JUDGING_MISUSED, JUDGING_FAILED) if judging else (MISUSED, FAILED)

    def run() -> int:
        code = _app(start_node)(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        return code if isinstance(code, int) else 0

    try:
        return exit_code_of(run, failed=failed)
    except (CycloptsError, SettingsError) as problem:
        return complain(problem, misused)
    except CommandFailed as problem:
        return complain(problem, problem.exit_code)
    except ClientError as problem:
        return complain(problem, failed)
    except BadInput as problem:
        return complain(problem, problem.code)


def _app(start_node: StartNode) -> App:
    app = App(
        name="greenroom",
        help="A chat server that speaks OpenIM v3.8's protocol.",
        version=version("greenroom"),
        help_format="plaintext",
    )

    @app.command
    def serve(*, node: NodeOptions = _DEFAULTS) -> int:
        """Run a node until SIGTERM or Ctrl-C."""
        return start_node(node)

    @app.command
    def token(
        *,
        user: Annotated[str, Parameter(help="The user's id.")],
        platform: Annotated[
            int, Parameter(help="1 iOS, 2 Android, 3 Windows, 4 macOS, 5 web, 7 Linux, ...")
        ] = Platform.WEB,
        register: Annotated[bool, Parameter(negative="", help="Register the user if missing.")] = False,
        node: NodeOptions = _DEFAULTS,
    ) -> int:
        """Print a new token for a user. It may invalidate the user's older tokens on that platform. Exit codes: 69 no
        node answers, 77 the secret is wrong or missing.
        """
        from greenroom.transport.cli.token import make_token

        print(_wait(make_token(node.of_running(), user, platform_id=platform, register=register)))
        return 0

    @app.command
    def chat(
        *,
        as_: Annotated[str, Parameter(name="--as", help="Your user id.")],
        to: Annotated[str, Parameter(help="The user to chat with.")] = "",
        group: Annotated[str, Parameter(help="The group to chat in, instead.")] = "",
        follow: Annotated[bool, Parameter(negative="", help="Stay after the end of a piped input.")] = False,
        node: NodeOptions = _DEFAULTS,
    ) -> int:
        """Chat in the terminal: each line you type is sent as a message. Registers both users if missing. Exit code 1
        if a line of a piped input was not sent, 69 if no node answers, 77 if the secret is wrong or missing.
        """
        from greenroom.transport.cli.chat import Chat

        if bool(to) == bool(group):
            raise SettingsError("chat: give --to USER or --group ID")
        return _wait(Chat(node.of_running(), user_id=as_, peer_id=to, group_id=group, follow=follow).run())

    @app.command
    def status(
        *,
        json: Annotated[bool, Parameter(negative="", help="Print everything as JSON.")] = False,
        node: NodeOptions = _DEFAULTS,
    ) -> int:
        """Show the state of a running node. Exit codes: 0 it is well, 1 an actor is in quarantine, or the store fails
        or is damaged, 69 no node answers, 77 the secret is wrong or missing.
        """
        from greenroom.transport.cli.status_screen import show_status

        return _wait(show_status(node.of_running(), as_json=json))

    @app.command
    def load(
        scenario: Annotated[str, Parameter(help=f"A TOML file, or one of {_SHIPPED}.")],
        /,
        *,
        run: LoadOptions = _LOAD_DEFAULTS,
        node: NodeOptions = _DEFAULTS,
    ) -> int:
        """Put a load on an OpenIM server, and judge every message. Exit codes: 0 the thresholds hold, 1 they do not,
        2 a message was lost, duplicated or out of order, 3 the harness was the bottleneck, 4 not all could be judged,
        5 interrupted, 64 and above: bad input.
        """
        from greenroom.transport.cli.load import load as run_load

        return run_load(scenario, run, node)

    @app.command
    def check(*, data_dir: Annotated[Path | None, Parameter(help="The node's folder.")] = None) -> int:
        """Search a node's data for damage and contradictions. Exit code 1 if there are any."""
        from greenroom.persistence.sqlite.check import check as findings_in

        folder = data_dir or Path(_DEFAULTS.settings().node.data_dir)
        if not folder.is_dir():
            raise CommandFailed(f"{folder} is not a folder")
        findings = list(findings_in(folder))
        for finding in findings:
            print(finding)
        print(f"{folder}: {len(findings) or 'no'} finding{'' if len(findings) == 1 else 's'}", file=sys.stderr)
        return FAILED if findings else 0

    @app.command
    def backup(
        folder: Annotated[Path, Parameter(help="A new folder for the copy.")], /, *, node: NodeOptions = _DEFAULTS
    ) -> int:
        """Copy a node's data into a new folder, and check the copy. The node may run meanwhile. The copy holds all
        messages, and the secret if it is in the node's folder."""
        from greenroom.persistence.sqlite.backup import back_up
        from greenroom.transport.cli.copying import Progress, failing_at_signals, summary

        with failing_at_signals():
            copied = back_up(Path(node.settings().node.data_dir), folder, tell=Progress())
        print(summary(folder, copied))
        return 0

    @app.command
    def restore(
        folder: Annotated[Path, Parameter(help="The folder of the copy.")], /, *, node: NodeOptions = _DEFAULTS
    ) -> int:
        """Make a node's data from a copy of `greenroom backup`, and check it. The folder may hold no data yet."""
        from greenroom.persistence.sqlite.backup import restore as restore_data
        from greenroom.transport.cli.copying import Progress, failing_at_signals, summary

        target = Path(node.settings().node.data_dir)
        with failing_at_signals():
            copied = restore_data(folder, target, tell=Progress())
        print(summary(target, copied))
        return 0

    @app.command
    def judge(
        *files: Annotated[Path, Parameter(help="The history files of one run, one for each process.")],
        json: Annotated[bool, Parameter(negative="", help="Print the verdict as JSON.")] = False,
        workdir: Annotated[Path | None, Parameter(help="A folder for temporary tables: 80 bytes per event.")] = None,
        strict: Annotated[
            bool, Parameter(negative="", help="Count a sendTime that goes back as a violation, too.")
        ] = False,
    ) -> int:
        """Judge a recorded history: was a message lost, duplicated or out of order? Exit codes: 0 it was not, 2 it was,
        4 not all could be judged, 64 and above: bad input.
        """
        from greenroom.transport.cli.judge import judge_files

        if not files:
            raise SettingsError("judge: name the files of a history")
        return judge_files(list(files), as_json=json, workdir=workdir, strict=strict)

    return app


def _wait(work: Awaitable[_Answer]) -> _Answer:
    async def waiting() -> _Answer:
        return await work

    return asyncio.run(waiting())
