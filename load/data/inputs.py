"""What the options of a run give as data and metadata, from wherever it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from load.config.model import Config
from load.config.values import STANDARD_INPUT
from load.errors import DataError
from load.json_texts import parse_json


@dataclass(frozen=True, slots=True)
class Given:
    """Data; in one of three forms."""

    where: str
    """What messages call it."""
    value: Any = None
    """As JSON says it."""
    text: str = ""
    """For JSON, maybe after templates in it are rendered."""
    binary: bytes = b""
    """Encoded."""


def given_data(config: Config, stdin: BinaryIO) -> Given:
    """Return the data of a run: without any, that of one empty message.

    If several are given, it is that which ghz would take.

    Raises:
        DataError: It cannot be read, or is empty.
    """
    if config.binary_file:
        where = f"binary-file {config.binary_file}"
        return Given(where, binary=_filled(where, _read(where, config.binary_file)))
    if config.binary:
        where = "binary from standard input"
        return Given(where, binary=_filled(where, stdin.read()))
    if config.data == STANDARD_INPUT:
        where = "data from standard input"
        return Given(where, text=_text(where, stdin.read()))
    if config.data_file:
        where = f"data-file {config.data_file}"
        return Given(where, text=_text(where, _read(where, config.data_file)))
    return Given("data", value={} if config.data is None else config.data)


def given_metadata(config: Config) -> str | Mapping[str, str]:
    """Return the metadata of a run, by key; or a text for JSON.

    Raises:
        DataError: It cannot be read, or is empty.
    """
    if config.metadata_file:
        where = f"metadata-file {config.metadata_file}"
        return _text(where, _read(where, config.metadata_file))
    return config.metadata or {}


def read_json(text: str) -> Any:  # noqa: ANN401 - whatever it says.
    """Return what JSON says; whole numbers are exact, however large.

    Raises:
        DataError: It is none.
    """
    try:
        return parse_json(text)
    except ValueError as error:
        raise DataError(str(error)) from None


def _read(where: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{where}: cannot be read: {error.strerror}") from None


def _text(where: str, data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise DataError(f"{where}: is not in UTF-8") from None
    _filled(where, data)
    return text


def _filled(where: str, data: bytes) -> bytes:
    if not data.strip():
        raise DataError(f"{where}: is empty")
    return data
