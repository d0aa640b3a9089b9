from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from greenroom.persistence.settings import Settings, SettingsError, load, packaged, unknown_variables

if TYPE_CHECKING:
    from pathlib import Path


def test_packaged_file_has_every_key_with_its_reason() -> None:
    settings = load(environ={})
    assert (settings.node.ws_port, settings.node.api_port, settings.node.host) == (10001, 10002, "127.0.0.1")
    lines = packaged().splitlines()
    for section in msgspec.structs.fields(Settings):
        for key in msgspec.structs.fields(section.type):
            at = next(number for number, line in enumerate(lines) if line.startswith(f"{key.name} = "))
            assert lines[at - 1].startswith("# "), f"{key.name} is not explained"


def test_file_then_environment_then_overrides(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[node]\nws_port = 1\napi_port = 1\ndata_dir = 'here'\n")
    settings = load(
        file,
        environ={"GREENROOM_NODE_WS_PORT": "2", "GREENROOM_NODE_API_PORT": "2", "GREENROOM_SECRET": "s"},
        overrides={"node": {"api_port": 3, "host": None}},
    )
    assert (settings.node.ws_port, settings.node.api_port, settings.node.data_dir) == (2, 3, "here")
    assert settings.auth.secret == "s"


def test_environment_is_typed() -> None:
    settings = load(
        environ={
            "GREENROOM_AUTH_ADMIN_USER_IDS": "a, b",
            "GREENROOM_MESSAGE_FRIEND_VERIFY": "True",
            "GREENROOM_WEBSOCKET_READ_TIMEOUT_S": "12",
            "GREENROOM_KILLS": "not ours",
        }
    )
    assert settings.auth.admin_user_ids == ("a", "b")
    assert settings.message.friend_verify is True
    assert settings.websocket.read_timeout_s == 12.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[node]\nws_prot = 1", ["my.toml", "[node]", "'ws_prot'", "'ws_port'"]),
        ("[nod]\n", ["my.toml", "[nod]", "'node'"]),
        ("[node]\nsecret = ''", ["[auth]"]),
        ("[node]\nws_port = 'x'", ["my.toml", "ws_port", "whole number"]),
        ("[node]\nws_port = true", ["whole number"]),
        ("[node]\nws_port = 70000", ["70000", "65535"]),
        ("[node]\ndata_dir = ''", ["data_dir", "empty"]),
        ("[http]\nrequests_in_flight = 0", ["requests_in_flight", "out of range"]),
        ("[websocket]\nread_timeout_s = nan", ["read_timeout_s", "out of range"]),
        ("[store]\nwriter = 'mongo'", ["process, thread"]),
        ("[auth]\nadmin_user_ids = [1]", ["list of texts"]),
        ("[limits]\ntrusted_proxies = ['10.0.0.0/8', 'nginx']", ["trusted_proxies", "'nginx'", "network"]),
        ("[limits]\nsends_per_s = 0", ["sends_per_s", "0 is out of range (0.001 to 1000000000000)"]),
        ("[http]\nmax_body_bytes = 1", ["max_body_bytes", "1 is out of range (1024 to 2147483648)"]),
        ("[node]\ndrain_timeout_s = -0.5", ["-0.5 is out of range (0 to 3600)"]),
        ("node = 3", ["section"]),
        ("[node", ["my.toml"]),
    ],
)
def test_wrong_file(tmp_path: Path, text: str, words: list[str]) -> None:
    file = tmp_path / "my.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as problem:
        load(file, environ={})
    line = str(problem.value)
    assert "\n" not in line
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    ("environ", "word"),
    [
        ({"GREENROOM_NODE_WS_PROT": "1"}, "ws_port"),
        ({"GREENROOM_NODE_WS_PORT": "x"}, "GREENROOM_NODE_WS_PORT: not a whole number"),
        ({"GREENROOM_NODE_WS_PORT": "-1"}, "GREENROOM_NODE_WS_PORT: [node] ws_port"),
    ],
)
def test_wrong_environment(environ: dict[str, str], word: str) -> None:
    with pytest.raises(SettingsError, match="GREENROOM") as problem:
        load(environ=environ)
    assert word in str(problem.value)


def test_unknown_variables() -> None:
    """They are named with the nearest setting, without their values, which may be secrets."""
    environ = {
        "GREENROOM_SECRET": "s", "GREENROOM_NODE_WS_PORT": "1", "GREENROOM_WEBSOKET_READ_TIMEOUT_S": "v", "PATH": "v",
        "GREENROOM_KILLS": "v", "GREENROOM_SECRT": "v", "greenroom_node_ws_port": "v", "MY_GREENROOM_X": "v",
    }  # fmt: skip
    assert unknown_variables(environ) == [
        "GREENROOM_KILLS",
        "GREENROOM_SECRT (did you mean GREENROOM_SECRET?)",
        "GREENROOM_WEBSOKET_READ_TIMEOUT_S (did you mean GREENROOM_WEBSOCKET_READ_TIMEOUT_S?)",
        "greenroom_node_ws_port (did you mean GREENROOM_NODE_WS_PORT?)",
    ]
    load(environ=environ)


def test_wrong_override() -> None:
    overrides: dict[str, dict[str, Any]] = {"store": {"lane": 1}}
    with pytest.raises(SettingsError, match="did you mean 'lanes'"):
        load(environ={}, overrides=overrides)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "no.toml", environ={})


def test_secret_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[auth]\nsecret = ['very-secret']")
    with pytest.raises(SettingsError) as problem:
        load(file, environ={})
    assert "very-secret" not in str(problem.value)
    assert "very-secret" not in repr(load(environ={"GREENROOM_SECRET": "very-secret"}))
