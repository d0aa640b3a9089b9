from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from greenroom.persistence.data_directory import DataDirectory
from greenroom.persistence.errors import DataDirectoryInUse

if TYPE_CHECKING:
    from pathlib import Path

HOLDER = """
import sys
from greenroom.persistence.data_directory import DataDirectory
DataDirectory(sys.argv[1]).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_second_owner(tmp_path: Path) -> None:
    with DataDirectory(tmp_path / "data") as first:
        assert first.database == tmp_path / "data" / "greenroom.db"
        with pytest.raises(DataDirectoryInUse, match="in use by process"):
            DataDirectory(tmp_path / "data").acquire()
    DataDirectory(tmp_path / "data").acquire()


def test_owner_that_is_killed(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(DataDirectoryInUse, match=str(holder.pid)):
            DataDirectory(tmp_path).acquire()
        holder.kill()
    DataDirectory(tmp_path).acquire()
