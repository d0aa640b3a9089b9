from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from greenroom.persistence.secret import WeakSecret, find_secret, secret_of
from greenroom.persistence.settings import load

if TYPE_CHECKING:
    from pathlib import Path


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
def test_weak_secret(tmp_path: Path, secret: str) -> None:
    for host in ("0.0.0.0", "192.0.2.1", "::", "chat.example"):
        settings = load(environ={"GREENROOM_SECRET": secret}, overrides={"node": {"host": host}})
        with pytest.raises(WeakSecret) as problem:
            secret_of(settings, tmp_path)
        assert secret not in str(problem.value).split()
    for host in ("127.0.0.1", "::1", "localhost"):
        settings = load(environ={"GREENROOM_SECRET": secret}, overrides={"node": {"host": host}})
        assert secret_of(settings, tmp_path) == secret
