"""Our compressed frames, read by pako, which OpenIM's SDK in JavaScript uses. (Go's compress/gzip was tried by hand;
the browser tests drive a node with the SDK that is compiled from Go.)"""

from __future__ import annotations

import base64
import os
import random
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from greenroom.transport.envelope.compression import compress

pytestmark = [pytest.mark.ci, pytest.mark.timeout(120)]

PAKO = "pako@2.1.0"
PAKO_HOME = Path(__file__).resolve().parents[3] / ".services" / "pako"
IN_JAVASCRIPT = """
const {ungzip} = require(process.argv[1]);
for (const line of require("fs").readFileSync(0, "utf8").trim().split("\\n"))
    console.log(Buffer.from(ungzip(Buffer.from(line, "base64"))).toString("base64"));
"""


def assert_reads(command: list[str]) -> None:
    dice = random.Random(1)
    frames = [dice.randbytes(size) for size in (1, 2, 255, 256, 257, 500, 511, 512, 513, 5000, 70_000)]
    frames += [b"x" * len(frame) for frame in frames]
    lines = b"\n".join(base64.b64encode(compress(frame)) for frame in frames)
    read = subprocess.run(command, input=lines, capture_output=True, check=True, timeout=100).stdout.split()
    assert [base64.b64decode(line) for line in read] == frames


def test_pako_reads_what_we_fold() -> None:
    if shutil.which("npm") is None:
        if os.environ.get("CI"):
            pytest.fail("the test of pako needs npm")
        pytest.skip("needs npm")
    pako = PAKO_HOME / "package" / "dist" / "pako.js"
    if not pako.is_file():
        PAKO_HOME.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(
            ["npm", "pack", PAKO, "--silent"], check=True, capture_output=True, text=True, timeout=100, cwd=PAKO_HOME
        )
        with tarfile.open(PAKO_HOME / packed.stdout.split()[-1]) as archive:
            archive.extractall(PAKO_HOME, filter="data")
    assert_reads(["node", "-e", IN_JAVASCRIPT, str(pako)])
