"""Descriptors from .proto files."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from load.errors import ConfigError, TargetError

_PLACE = re.compile(r"^(?P<file>[^:\n]+):(?P<line>\d+):(?P<column>\d+): ")


def compile_proto(proto: str, import_paths: Sequence[str]) -> Sequence[FileDescriptorProto]:
    """Return a .proto file and all that it imports.

    Imports are looked for in its folder, in the current one, in `import_paths`, and among the
    well-known types.

    Raises:
        ConfigError: It is no such file.
        TargetError: It does not compile; the text has what is wrong in it, and where.
    """
    path = Path(proto)
    if path.suffix != ".proto":
        raise ConfigError(f"proto: {proto} does not end with .proto")
    if not any(Path(folder, proto).is_file() for folder in (".", *import_paths)):
        raise ConfigError(f"proto: there is no file {proto}")
    for folder in import_paths:
        if not Path(folder).is_dir():
            raise ConfigError(f"import-paths: there is no folder {folder}")
    with (
        tempfile.TemporaryDirectory() as made,
        as_file(files("grpc_tools") / "_proto") as well_known,
    ):
        # Named once each: protoc warns of a folder that it is given twice.
        folders = dict.fromkeys([str(path.parent), ".", *import_paths, str(well_known)])
        protoset = Path(made, "protoset")
        # It writes what is wrong to the standard error of its process: hence one of its own.
        done = subprocess.run(  # noqa: S603
            [
                # -P: nothing in the current folder is taken for a module of Python.
                *(sys.executable, "-P", "-m", "grpc_tools.protoc", "--include_imports"),
                *(f"--proto_path={folder}" for folder in folders),
                f"--descriptor_set_out={protoset}",
                proto,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise TargetError(f"proto: {proto} does not compile: {_told(done.stderr)}")
        return FileDescriptorSet.FromString(protoset.read_bytes()).file


def _told(stderr: str) -> str:
    """Return in one line what protoc says, without its warnings."""
    lines = [line for line in stderr.splitlines() if line and "warning: " not in line.lower()]
    places = (_PLACE.sub(r"\g<file>, line \g<line>: ", line) for line in lines)
    return "; ".join(places) or "protoc does not say why"
