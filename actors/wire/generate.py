"""Generates the `*_pb2.py` and `*_pb2.pyi` files of this package from its .proto files.

Run `python -m greenroom.actors.wire.generate` after changing a .proto file. It needs grpcio-tools, which is installed
only with the development dependencies. The server never runs it.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

__all__ = ["WireGenerationFailed", "generate"]

_FOLDER = Path(__file__).parent
# The path of the files in the global descriptor pool. The generated imports use it too.
_PROTO_FOLDER = "greenroom/actors/wire"


class WireGenerationFailed(Exception):
    """The compiler refused a .proto file. Its error is on stderr."""


def generate(target: Path) -> list[Path]:
    """Compile every .proto file of this package into `target`, and return the written files, sorted.

    The compiler works on copies in a temporary folder, so `target` is unchanged if it fails.
    """
    from grpc_tools import protoc

    with tempfile.TemporaryDirectory() as scratch:
        sources = Path(scratch, "sources")
        products = Path(scratch, "products")
        products.mkdir()
        folder = sources / _PROTO_FOLDER
        folder.mkdir(parents=True)
        names = sorted(path.name for path in _FOLDER.glob("*.proto"))
        for name in names:
            shutil.copyfile(_FOLDER / name, folder / name)
        arguments = [
            "protoc",
            f"--proto_path={sources}",
            f"--python_out={products}",
            f"--pyi_out={products}",
            *(f"{_PROTO_FOLDER}/{name}" for name in names),
        ]
        if protoc.main(arguments) != 0:
            raise WireGenerationFailed(", ".join(names))
        return [
            Path(shutil.copyfile(product, target / product.name))
            for product in sorted((products / _PROTO_FOLDER).iterdir())
        ]


if __name__ == "__main__":
    generate(_FOLDER)
