from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from greenroom.persistence.secret import WeakSecret, find_secret, secret_of
from greenroom.persistence.settings import load

if TYPE_CHECKING:
    from greenroom.persistence.settings import Settings


def test_first_start_makes_one_and_says_where(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    settings = load(environ={}, overrides={"node": {"data_dir": str(tmp_path / "data")}})
    assert find_secret(settings) == ""
    secret = secret_of(settings, tmp_path / "data")
    kept = tmp_path / "data" / "secret"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert len(secret) >= 32
    assert [record.getMessage() for record in caplog.records] == [f"a secret was generated; it is kept in {kept}"]
    assert secret_of(settings, tmp_path / "data") == find_secret(settings) == secret
    assert [path.name for path in kept.parent.iterdir()] == ["secret"]


def test_given_secret_is_not_kept(tmp_path: Path) -> None:
    settings = load(environ={"GREENROOM_SECRET": "long enough to be taken"})
    assert secret_of(settings, tmp_path) == "long enough to be taken"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("secret", ["openIM123", "short", "aaaaaaaaaaaaaaaaaaaa"])
def test_weak_secret(tmp_path: Path, secret: str, caplog: pytest.LogCaptureFixture) -> None:
    for host in ("0.0.0.0", "192.0.2.1", "::", "chat.example"):
        settings = load(environ={"GREENROOM_SECRET": secret}, overrides={"node": {"host": host}})
        with pytest.raises(WeakSecret) as problem:
            secret_of(settings, tmp_path)
        assert secret not in str(problem.value).split()
    for host in ("127.0.0.1", "::1", "localhost"):
        caplog.clear()
        settings = load(environ={"GREENROOM_SECRET": secret}, overrides={"node": {"host": host}})
        assert secret_of(settings, tmp_path) == secret
        (warning,) = [record.getMessage() for record in caplog.records]
        assert warning.startswith("auth.secret is well known or shorter than 16 characters")
        assert secret not in warning.split()


def test_weak_secret_behind_a_proxy(tmp_path: Path) -> None:
    """A proxy that the settings name passes on requests from other hosts, so loopback is no reason any more."""
    overrides = {"limits": {"trusted_proxies": ["127.0.0.1"]}}
    with pytest.raises(WeakSecret, match=r"limits\.trusted_proxies names a proxy"):
        secret_of(load(environ={"GREENROOM_SECRET": "openIM123"}, overrides=overrides), tmp_path)
    strong = "a strong secret of the tests"
    assert secret_of(load(environ={"GREENROOM_SECRET": strong}, overrides=overrides), tmp_path) == strong


def settings_of(host: str) -> Settings:
    return load(environ={}, overrides={"node": {"host": host}})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o666, 0o602])
def test_file_that_others_can_read(tmp_path: Path, mode: int, caplog: pytest.LogCaptureFixture) -> None:
    kept = tmp_path / "secret"
    kept.write_text("a strong secret of the tests\n")
    kept.chmod(mode)
    for _ in range(2):  # It stays as it is: those who could read it may have done so.
        with pytest.raises(WeakSecret, match="other users") as problem:
            secret_of(settings_of("0.0.0.0"), tmp_path)
        assert "strong secret" not in str(problem.value)
    assert not caplog.records
    for _ in range(2):
        assert secret_of(settings_of("127.0.0.1"), tmp_path) == "a strong secret of the tests"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [record.getMessage() for record in caplog.records] == [
        f"{kept} is private to its user now; other users could read it before"
    ]
    assert secret_of(settings_of("0.0.0.0"), tmp_path) == "a strong secret of the tests"


@pytest.mark.parametrize("secret", ["openIM123", "short", "aaaaaaaaaaaaaaaaaaaa"])
def test_weak_secret_in_the_file(tmp_path: Path, secret: str) -> None:
    kept = tmp_path / "secret"
    kept.write_text(f"{secret}\n")
    kept.chmod(0o600)
    with pytest.raises(WeakSecret, match="remove the file") as problem:
        secret_of(settings_of("0.0.0.0"), tmp_path)
    assert secret not in str(problem.value).split()
    assert secret_of(settings_of("::1"), tmp_path) == secret


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xff\xfe\x00", "geheimnisvoll-schön".encode(), b"x" * 5000])
def test_file_without_a_secret(tmp_path: Path, content: bytes) -> None:
    """On any host: the tokens of an empty secret are those that everyone can make."""
    kept = tmp_path / "secret"
    kept.write_bytes(content)
    kept.chmod(0o600)
    for host in ("0.0.0.0", "127.0.0.1"):
        with pytest.raises(WeakSecret, match="remove it"):
            secret_of(settings_of(host), tmp_path)
    environ = {"GREENROOM_SECRET": "long enough to be taken", "GREENROOM_NODE_DATA_DIR": str(tmp_path)}
    given = load(environ=environ)
    assert secret_of(given, tmp_path) == find_secret(given) == "long enough to be taken"


def test_no_file_in_its_place(tmp_path: Path) -> None:
    for folder, make in ((tmp_path / "a", Path.mkdir), (tmp_path / "b", os.mkfifo)):
        folder.mkdir()
        make(folder / "secret")
        with pytest.raises(WeakSecret, match="not a file"):
            secret_of(settings_of("127.0.0.1"), folder)
