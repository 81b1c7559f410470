"""Queries to Prometheus, and its answers, strictly read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import urlencode

import msgspec
import urllib3

from flags.silence import unanswered

_T = TypeVar("_T")
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


class PrometheusFailed(Exception):
    """Prometheus does not answer, says that it cannot, or its answer makes no sense; says why."""


@dataclass(frozen=True, slots=True)
class Series:
    """What a query found under one set of labels."""

    labels: Mapping[str, str]
    values: tuple[tuple[float, float], ...]
    """Each with its time, in seconds since the epoch; the values are finite."""


class _Vector(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class _Matrix(msgspec.Struct):
    metric: dict[str, str]
    values: list[tuple[float, str]]


class _Data(msgspec.Struct, rename="camel"):
    result_type: str
    result: msgspec.Raw


class _Answer(msgspec.Struct, rename="camel"):
    status: str
    data: _Data | None = None
    error: str = ""
    warnings: list[str] = []


class PrometheusApi:
    """The HTTP API of Prometheus. Its methods block, and may be called from several threads."""

    def __init__(self, url: str, *, patience: float) -> None:
        """Ask a Prometheus.

        Args:
            url: Where it is, with its path prefix and user, if it has them.
            patience: How many seconds a query may take.
        """
        parts = urllib3.util.parse_url(url)
        self._url = parts._replace(auth=None).url.rstrip("/")
        self._patience = patience
        user = urllib3.util.make_headers(basic_auth=parts.auth) if parts.auth else {}
        self._pool = urllib3.PoolManager(
            maxsize=8,
            headers={**_FORM, **user},
            timeout=urllib3.Timeout(total=patience),
            retries=False,
        )

    def ask(self, query: str, at: float) -> list[Series]:
        """Return what a query finds at a time, in series of one value each.

        Raises:
            PrometheusFailed: It cannot be had.
        """
        result = self._ask("query", {"query": query, "time": f"{at:.3f}"}, "vector")
        found = _decode(result, list[_Vector])
        return [Series(each.metric, _numbers([each.value])) for each in found]

    def ask_over(self, query: str, since: float, until: float, step: float) -> list[Series]:
        """Return what a query finds at every `step` from `since` to `until`.

        Raises:
            PrometheusFailed: It cannot be had.
        """
        times = {"start": f"{since:.3f}", "end": f"{until:.3f}", "step": f"{step:.3f}"}
        result = self._ask("query_range", {"query": query, **times}, "matrix")
        found = _decode(result, list[_Matrix])
        return [Series(each.metric, _numbers(each.values)) for each in found]

    def _ask(self, kind: str, form: Mapping[str, str], result_type: str) -> bytes:
        # Prometheus itself gives up a little earlier, and then says so.
        limit = {"timeout": f"{self._patience:.3f}"}
        try:
            response = self._pool.request(
                "POST", f"{self._url}/api/v1/{kind}", body=urlencode({**form, **limit})
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise PrometheusFailed(f"Prometheus {unanswered(self._url, error)}") from error
        try:
            answer = msgspec.json.decode(response.data, type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise PrometheusFailed(
                f"Prometheus answers with status {response.status} and no answer of its API"
            ) from error
        if answer.status != "success":
            raise PrometheusFailed(f"Prometheus refuses the query: {answer.error}")
        if answer.warnings:
            raise PrometheusFailed(f"Prometheus warns: {'; '.join(answer.warnings)}")
        if answer.data is None or answer.data.result_type != result_type:
            raise PrometheusFailed(f"Prometheus' answer is no {result_type}")
        return bytes(answer.data.result)


def _decode(result: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(result, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PrometheusFailed(f"Prometheus' answer makes no sense: {error}") from error


def _numbers(values: list[tuple[float, str]]) -> tuple[tuple[float, float], ...]:
    try:
        numbers = tuple((at, float(text)) for at, text in values)
    except ValueError as error:
        raise PrometheusFailed("Prometheus' answer has a value that is no number") from error
    if not all(math.isfinite(number) for _, number in numbers):
        raise PrometheusFailed("Prometheus' answer has a value that is not finite")
    return numbers
