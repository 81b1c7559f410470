"""Paths by which clients reach a Unix socket."""

import hashlib
import os
import re
import secrets
import socket
import stat
import tempfile
import time
from pathlib import Path

from server.embedded.errors import DataDirectoryUnusable, EmbeddedError

# The kernel takes 107 bytes on Linux, 103 on macOS.
_LONGEST_PATH = 100
# In anything else some client or URL sees a separator.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")
_BUSY_SECONDS = 5
_POLL_SECONDS = 0.01


def client_path(path: Path) -> Path:
    """Return a path to the same socket that is short and plain enough for every client.

    That is the path itself, or one through a link in this user's own temporary directory. The
    servers need neither: they bind relative to their working directory. Raises EmbeddedError if
    the temporary directory is not this user's alone.
    """
    text = str(path)
    if len(os.fsencode(text)) <= _LONGEST_PATH and _PLAIN_PATH.fullmatch(text):
        return path
    name = hashlib.sha256(os.fsencode(path.parent)).hexdigest()[:16]
    link = _private_directory() / name
    if not link.is_symlink() or link.readlink() != path.parent:
        new = link.with_name(f"{name}.{secrets.token_hex(4)}")
        new.symlink_to(path.parent)
        new.replace(link)
    return link / path.name


def accepts(path: Path, *, patience: float = _BUSY_SECONDS) -> bool:
    """Return whether a server listens on the socket.

    So does one whose queue of connections is full and stays so for `patience` seconds: it is busy,
    and neither gone nor going. Raises DataDirectoryUnusable if the socket cannot be reached.
    """
    deadline = time.monotonic() + patience
    while True:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(0)
            try:
                client.connect(str(client_path(path)))
            except (ConnectionRefusedError, FileNotFoundError):
                return False
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return True
            except OSError as error:
                raise DataDirectoryUnusable(
                    f"{path} cannot be reached: {error.strerror}"
                ) from error
            else:
                return True
        time.sleep(_POLL_SECONDS)


def falls_silent(path: Path, *, patience: float) -> bool:
    """Wait up to `patience` seconds for nobody to listen on the socket; return whether it is so."""
    deadline = time.monotonic() + patience
    while accepts(path, patience=0):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _private_directory() -> Path:
    directory = Path(tempfile.gettempdir()) / f"patron-{os.geteuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    # The name can be guessed and the place is everybody's: a link set there by another user
    # would lead clients to that user's server.
    status = directory.lstat()
    others = stat.S_IWGRP | stat.S_IWOTH
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & others:
        raise EmbeddedError(f"{directory} is not this user's own directory: remove it")
    return directory
