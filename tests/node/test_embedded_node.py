"""A node in the process of its host: what the host gives it, and what it gets from it."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from greenroom import Client, Engine, Node, Settings, SettingsError
from greenroom.persistence import settings as settings_module
from greenroom.persistence.store import MessageEvent
from greenroom.tests.kit.node_kit import SECRET
from greenroom.transport.client.api import Api
from greenroom.transport.listening import raise_descriptor_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from greenroom.persistence.store import Event


class Messages:
    """A subscriber that keeps the messages that it gets, by their server id."""

    name = "messages"
    from_first_message = False

    def __init__(self) -> None:
        self.got: asyncio.Queue[str] = asyncio.Queue()

    async def take(self, events: Sequence[Event], *, missed: bool) -> None:
        for event in events:
            if isinstance(event, MessageEvent):
                self.got.put_nowait(event.server_msg_id)


async def test_subscriber_of_a_node_gets_what_came_over_a_socket(tmp_path: Path) -> None:
    environ = {
        "GREENROOM_NODE_WS_PORT": "0", "GREENROOM_NODE_API_PORT": "0", "GREENROOM_NODE_DATA_DIR": str(tmp_path),
        "GREENROOM_SECRET": SECRET, "GREENROOM_STORE_WRITER": "thread",
    }  # fmt: skip
    messages = Messages()
    async with Node(settings_module.load(environ=environ), subscribers=[messages]) as node:
        async with Api(f"http://127.0.0.1:{node.api_port}") as api:
            admin = await api.admin_token(SECRET)
            await api.register("a", admin_token=admin, missing_only=True)
            token = await api.user_token("a", admin_token=admin)
        async with Client(ws_url=f"ws://127.0.0.1:{node.ws_port}", user_id="a", token=token) as client:
            sent = await client.send(recv_id="a", text="hello")
        async with asyncio.timeout(10):
            assert await messages.got.get() == sent.server_msg_id


async def test_drain_before_the_start_does_nothing() -> None:
    await Node().drain()


def test_two_subscribers_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        Node(subscribers=[Messages(), Messages()])


class _Nameless:
    from_first_message = False

    async def take(self, events: Sequence[Event], *, missed: bool) -> None:
        pass


class _Nowhere(_Nameless):
    name = "nowhere"
    from_first_message = None  # type: ignore[assignment]


class _Deaf:
    name = "deaf"
    from_first_message = True


class _Empty(Messages):
    name = ""


@pytest.mark.parametrize(
    ("subscriber", "kind", "problem"),
    [
        (_Nameless(), TypeError, "_Nameless is no subscriber: its `name` must be a str"),
        (_Nowhere(), TypeError, "_Nowhere is no subscriber: its `from_first_message` must be a bool"),
        (_Deaf(), TypeError, "_Deaf is no subscriber: it must have a method `take`"),
        (Messages, TypeError, "Messages is a class: give an instance"),
        (_Empty(), ValueError, "the `name` of the subscriber _Empty is empty"),
    ],
)
def test_subscriber_that_is_none_is_refused(subscriber: Any, kind: type[Exception], problem: str) -> None:
    with pytest.raises(kind, match=problem):
        Node(subscribers=[subscriber])


def test_before_the_start_each_answer_is_that_it_has_not_started() -> None:
    engine = Engine(memory=True)
    reads: list[Callable[[], object]] = [
        engine.status, lambda: engine.fallen, lambda: engine.store, lambda: engine.sessions, lambda: Node().fallen,
    ]  # fmt: skip
    for read in reads:
        with pytest.raises(RuntimeError, match="the engine has not been started"):
            read()
    with pytest.raises(AttributeError, match="'Engine' object has no attribute 'stor'"):
        _ = engine.stor  # type: ignore[attr-defined]


def test_settings_of_an_embedding_program(tmp_path: Path) -> None:
    file = tmp_path / "chat.toml"
    file.write_text("[node]\nws_port = 1\napi_port = 2\n")
    overrides = {"node": {"api_port": 3}}
    settings = Settings.load(file, environ={"GREENROOM_NODE_WS_PORT": "4"}, overrides=overrides)
    assert (settings.node.ws_port, settings.node.api_port) == (4, 3)
    with pytest.raises(SettingsError, match="did you mean 'node'"):
        Settings.load(environ={}, overrides={"nod": {}})


EMBEDDING = """
import asyncio, logging, resource, sys
from greenroom import Node
from greenroom.transport.listening import raise_descriptor_limit

async def main(raises):
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    if raises:
        print("raised to", raise_descriptor_limit())
    async with Node():
        print("soft limit", resource.getrlimit(resource.RLIMIT_NOFILE)[0])

asyncio.run(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("raises", [True, False])
def test_limit_of_open_files_is_the_hosts(tmp_path: Path, raises: bool) -> None:
    """The node does not change it, and warns of it."""
    environ = {
        "GREENROOM_NODE_WS_PORT": "0", "GREENROOM_NODE_API_PORT": "0", "GREENROOM_NODE_DATA_DIR": str(tmp_path),
        "GREENROOM_SECRET": SECRET,
    }  # fmt: skip
    command = ["prlimit", "--nofile=256:2048", "--", sys.executable, "-c", EMBEDDING, *(["raise"] if raises else [])]
    environment = os.environ | environ
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, env=environment, check=False)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    if raises:
        assert lines == ["raised to 2048", "soft limit 2048"]
    else:
        assert lines[0].startswith("the node accepts connections while this process has fewer than 144 files open")
        assert "raise_descriptor_limit()" in lines[0]
        assert lines[1:] == ["soft limit 256"]


@pytest.mark.parametrize("error", [ValueError, PermissionError])
def test_limit_of_open_files_that_the_system_does_not_raise(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """As in a sandbox. A load test goes on with the limit that holds."""

    def refuse(*_: object) -> None:
        raise error("not allowed")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_descriptor_limit() == 256
