"""The flag in Unleash, moved by its Admin API."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec
import urllib3

from flags.rollout.ports import Change, FlagChanged, FlagUnusable, Share, SwitchUnreachable
from flags.silence import unanswered

_T = TypeVar("_T")

_GRADUAL: Final = "flexibleRollout"
_STICKINESS: Final = "userId"
_PERCENT: Final = re.compile(r"[0-9]{1,3}")
_HIGHEST: Final = 100
_TEST_FAILED: Final = "TEST_OPERATION_FAILED"
_LONGEST_MESSAGE: Final = 200
# What the history calls a write of a whole strategy.
_UPDATE: Final = "feature-strategy-update"
_WRITES: Final = frozenset({"feature-strategy-add", _UPDATE})
# What changes whom a flag lets in.
_CHANGE: Final = re.compile(r"feature-(strategy|environment|dependenc|archived|revived|import)")
_OK: Final = range(200, 300)
_REFUSED: Final = frozenset({401, 403})
_NOT_FOUND: Final = 404
_EXISTS: Final = 409


class _Strategy(msgspec.Struct):
    id: str
    name: str
    parameters: dict[str, Any]
    disabled: bool = False

    @property
    def share(self) -> str:
        """The percentage as it is kept."""
        return str(self.parameters.get("rollout"))


class _Environment(msgspec.Struct):
    name: str
    enabled: bool
    strategies: list[_Strategy]


class _Feature(msgspec.Struct):
    environments: list[_Environment]


class _Event(msgspec.Struct, rename="camel"):
    id: int
    type: str
    created_by: str
    created_by_user_id: int
    created_at: str
    environment: str | None = None
    data: dict[str, Any] | None = None
    pre_data: dict[str, Any] | None = None


class _Events(msgspec.Struct):
    events: list[_Event]
    """The last 50."""


class _Problem(msgspec.Struct):
    message: str


class UnleashSwitch:
    """A `FlagSwitch` by Unleash's Admin API.

    It moves a flag with one gradual strategy, sticky by user: a merchant is in by the hash of its
    id, so that a larger share adds merchants, and a smaller one again leaves those that were
    first. Of the strategy it changes the share alone.

    Args:
        api: Unleash's address, up to /api.
        token: An admin token.
        project: The project of the flags.
        environment: In which environment they are moved.
        timeout: How long Unleash may take to connect, and then for each answer, in seconds.
    """

    def __init__(
        self,
        *,
        api: str,
        token: str,
        project: str = "default",
        environment: str = "production",
        timeout: float = 10.0,
    ) -> None:
        self._base = f"{api.rstrip('/')}/admin"
        self._features = f"projects/{quote(project, safe='')}/features"
        self._environment = environment
        self._headers = {"Authorization": token}
        # Nothing is sent again: by then it may be another one's turn. The token follows nowhere.
        self._http = urllib3.PoolManager(maxsize=4, timeout=timeout, retries=False)

    async def read(self, flag: str) -> Share:
        """Return how the flag stands, as `FlagSwitch` says."""
        return await asyncio.to_thread(self._read, flag)

    async def move(self, flag: str, *, expected: int, percent: int) -> None:
        """Set the share as `FlagSwitch` says.

        Of those who write at the very same moment the lowest share stays: what this one has
        overwritten is given back if it lets in fewer.
        """
        if not 0 <= percent <= _HIGHEST:
            # Unleash would take it, and let nobody in.
            raise ValueError(f"{percent} is no percentage")
        await asyncio.to_thread(self._move, flag, expected, percent)

    async def prepare(self, flag: str) -> None:
        """Have a flag there that can be moved: on, with a gradual strategy of 0 %.

        What is there already is left alone, but for a strategy of 0 % that is off.

        Raises:
            FlagUnusable: It is archived, or not one that can be moved.
            SwitchUnreachable: Unleash cannot be asked.
        """
        await asyncio.to_thread(self._prepare, flag)

    async def changes(self, flag: str, *, since: int) -> list[Change]:
        """Return what was done to the flag, as `FlagSwitch` says."""
        events = await asyncio.to_thread(self._events, flag)
        return [
            Change(event.id, _share_set(event), _describe(event))
            for event in reversed(events)
            if event.id > since and _CHANGE.match(event.type)
        ]

    def _read(self, flag: str) -> Share:
        found = self._find(flag)
        if not found.enabled:
            return Share(0, enabled=False)
        return Share(_percent(flag, _gradual(flag, found.strategies)), enabled=True)

    def _move(self, flag: str, expected: int, percent: int) -> None:
        found = self._find(flag)
        strategy = _gradual(flag, found.strategies)
        before = _percent(flag, strategy)
        if not found.enabled:
            raise FlagUnusable(
                f"{flag} is off in {self._environment}: switch it on in Unleash; its strategy "
                f"lets {before} % in"
            )
        if before != expected:
            raise FlagChanged(f"{flag} is at {before} %, not at {expected} %")
        if percent != before:
            self._write(flag, strategy, str(percent), {"parameters/rollout": str(percent)})

    def _write(
        self, flag: str, strategy: _Strategy, share: str, changes: Mapping[str, object]
    ) -> None:
        """Replace members of a strategy, its share among them; give back what that overwrites.

        Unleash tests a patch, and then writes the whole strategy: of those who come at the same
        moment every one passes the test, and the last overwrites the others. Only its history,
        which is in the order of the writes, tells of them: whoever wrote after the old share and
        before the new one. Raises FlagChanged if one of them lets in fewer. Never more are let in
        again: whoever goes down may die at any moment, and is down then.
        """
        self._patch(flag, strategy, strategy.share, changes)
        writes = [
            event.data
            for event in self._events(flag)
            if event.type in _WRITES and event.data and event.data["id"] == strategy.id
        ]
        shares = [data["parameters"]["rollout"] for data in writes]
        try:
            mine = shares.index(share)
            old = shares.index(strategy.share, mine)
        except ValueError:
            return  # So much has happened since that the history doesn't reach back.
        written, others = writes[mine], writes[mine + 1 : old + 1]
        lowest = min(others[:-1], key=_let_in, default=written)
        if _let_in(lowest) < _let_in(written):
            other = str(lowest["parameters"]["rollout"])
            mine_now = msgspec.structs.replace(strategy, parameters=written["parameters"])
            self._write(flag, mine_now, other, _changes(written, lowest))
            raise FlagChanged(f"{flag} was moved to {other} % at the same moment by somebody else")
        # The rest of the strategy may have been changed between the test and the write.
        last = others[0]
        lost = {**last, "parameters": {**last["parameters"], "rollout": share}}
        with suppress(FlagChanged):
            self._patch(flag, strategy, share, _changes(written, lost))

    def _patch(
        self, flag: str, strategy: _Strategy, share: str, changes: Mapping[str, object]
    ) -> None:
        """Replace members of a strategy, by path, if its share is this one.

        Not a PUT, which wipes all that it doesn't name. Raises FlagChanged.
        """
        if changes:
            test = {"op": "test", "path": "/parameters/rollout", "value": share}
            replacements = [
                {"op": "replace", "path": f"/{path}", "value": value}
                for path, value in changes.items()
            ]
            path = f"{self._path(flag)}/strategies/{quote(strategy.id, safe='')}"
            self._ask("PATCH", path, _Strategy, [test, *replacements])

    def _prepare(self, flag: str) -> None:
        new = {"name": flag, "type": "release", "impressionData": True}
        with suppress(_Exists):
            self._ask("POST", self._features, msgspec.Raw, new)
        found = self._find(flag)
        if found.enabled:
            return
        if not found.strategies:
            # Before it is on: without a strategy it would let everybody in.
            parameters = {"rollout": "0", "stickiness": _STICKINESS, "groupId": flag}
            strategy = {"name": _GRADUAL, "parameters": parameters, "constraints": []}
            added = self._ask("POST", f"{self._path(flag)}/strategies", _Strategy, strategy)
            found.strategies.append(added)
        if _percent(flag, _gradual(flag, found.strategies)) == 0:
            self._ask("POST", f"{self._path(flag)}/on", msgspec.Raw)

    def _find(self, flag: str) -> _Environment:
        feature = self._ask("GET", f"{self._features}/{quote(flag, safe='')}", _Feature)
        for environment in feature.environments:
            if environment.name == self._environment:
                return environment
        raise FlagUnusable(f"{flag} is not in Unleash's environment {self._environment}")

    def _events(self, flag: str) -> list[_Event]:
        """Return what happened to the flag here, the newest first; nothing if that isn't kept."""
        try:
            found = self._ask("GET", f"events/{quote(flag, safe='')}", _Events)
        except FlagUnusable:  # That is: 404.
            return []
        here = [e for e in found.events if e.environment in (None, self._environment)]
        # They come by time, which is that of the beginning of a transaction. Numbers are given
        # after a strategy is written, which others who write it wait for.
        return sorted(here, key=lambda event: event.id, reverse=True)

    def _path(self, flag: str) -> str:
        environment = quote(self._environment, safe="")
        return f"{self._features}/{quote(flag, safe='')}/environments/{environment}"

    def _ask(self, method: str, path: str, kind: type[_T], body: object = None) -> _T:
        """Return Unleash's answer. Raises what `FlagSwitch` does, and _Exists."""
        try:
            response = self._http.request(
                method, f"{self._base}/{path}", headers=self._headers, json=body
            )
        except urllib3.exceptions.HTTPError as error:
            raise SwitchUnreachable(f"Unleash {unanswered(self._base, error)}") from error
        except ValueError:
            # Its text would tell the token, which is all that can be wrong with a header.
            raise SwitchUnreachable("the admin token has characters that no token has") from None
        if response.status in _OK:
            try:
                return msgspec.json.decode(response.data or b"null", type=kind)
            except msgspec.DecodeError as error:
                raise SwitchUnreachable(
                    "what answers is not Unleash's API: its address ends in /api"
                ) from error
        raise _problem(response.status, response.data)


class _Exists(Exception):
    """There is a flag of this name already."""


def _problem(status: int, body: bytes) -> Exception:
    try:
        message = msgspec.json.decode(body, type=_Problem).message
    except msgspec.DecodeError:
        return SwitchUnreachable(f"Unleash refuses ({status})")
    said = message.partition("\n")[0][:_LONGEST_MESSAGE]
    if status == _EXISTS:
        return _Exists(said)
    if status == _NOT_FOUND:
        return FlagUnusable(f"Unleash says: {said} (an archived flag counts as missing)")
    if _TEST_FAILED in message:
        # With status 500. Nothing was changed.
        return FlagChanged("somebody else changed the flag a moment ago")
    if status in _REFUSED:
        return SwitchUnreachable(f"Unleash refuses the admin token ({status}): {said}")
    return SwitchUnreachable(f"Unleash refuses ({status}): {said}")


def _gradual(flag: str, strategies: Sequence[_Strategy]) -> _Strategy:
    """Return the strategy whose share is the flag's, or raise FlagUnusable."""
    active = [strategy for strategy in strategies if not strategy.disabled]
    if not active:
        raise FlagUnusable(
            f"{flag} has no strategy, and lets everybody in when it is on: add one of type "
            f"{_GRADUAL}, sticky by {_STICKINESS}, in Unleash"
        )
    if len(active) > 1:
        raise FlagUnusable(
            f"{flag} has {len(active)} strategies, each of which lets some in: leave one in Unleash"
        )
    [strategy] = active
    if strategy.name != _GRADUAL:
        raise FlagUnusable(
            f"{flag} has a strategy of type {strategy.name}: replace it by {_GRADUAL} in Unleash"
        )
    if (stickiness := strategy.parameters.get("stickiness")) != _STICKINESS:
        raise FlagUnusable(
            f"{flag} is sticky by {stickiness}: make it {_STICKINESS} in Unleash, else other "
            "merchants are let in each time"
        )
    return strategy


def _percent(flag: str, strategy: _Strategy) -> int:
    """Return the strategy's share, or raise FlagUnusable."""
    if _PERCENT.fullmatch(strategy.share) and int(strategy.share) <= _HIGHEST:
        return int(strategy.share)
    # Unleash takes whatever it is told.
    raise FlagUnusable(
        f"the share of {flag} is {strategy.share!r}, by which nobody is let in: set it to a "
        "percentage in Unleash"
    )


def _let_in(data: Mapping[str, Any]) -> int:
    """Return how many of a hundred a strategy lets in, as the history has it."""
    share = str(data["parameters"]["rollout"])
    return int(share) if _PERCENT.fullmatch(share) and int(share) <= _HIGHEST else 0


def _changes(written: Mapping[str, object], wanted: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in wanted.items() if written.get(name) != value}


def _describe(event: _Event) -> str:
    """Return who did what and when, such as `admin, 2026-11-24T17:29:50.661Z: 10 % to 50 %`."""
    # Persons are numbered from 1 on; tokens have names too.
    who = event.created_by if event.created_by_user_id > 0 else f"the token {event.created_by}"
    old, new = (_share_of(data) for data in (event.pre_data, event.data))
    what = event.type.replace("-", " ")
    if old is not None and new is not None and old != new:
        what = f"{old} % to {new} %{'' if _is_share_alone(event) else ', and more'}"
    return f"{who}, {event.created_at}: {what}"


def _share_set(event: _Event) -> int | None:
    """Return the share that an event has set; None: that isn't all that it has done."""
    share = _share_of(event.data) or ""
    if event.type == _UPDATE and _PERCENT.fullmatch(share) and _is_share_alone(event):
        return int(share)
    return None


def _is_share_alone(event: _Event) -> bool:
    """Return whether nothing of a strategy but its share is another than before."""
    before, after = ({**(data or {})} for data in (event.pre_data, event.data))
    for strategy in (before, after):
        strategy["parameters"] = {**strategy.get("parameters", {}), "rollout": None}
    return before == after


def _share_of(data: Mapping[str, Any] | None) -> str | None:
    return ((data or {}).get("parameters") or {}).get("rollout")
