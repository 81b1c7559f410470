"""Cached analytics, whole chain, against bare echoes of the same size."""

from contextlib import ExitStack
from typing import Any

import grpc

from tests.load.bench import echo
from tests.load.bench.h2load import Load
from tests.load.bench.lab import Lab, say
from tests.load.bench.places import FOLDER
from tests.load.bench.report import Outcome
from tests.load.bench.samples import median_ratio
from tests.load.world import calls
from tests.load.world.errors import NotMeasured
from tests.load.world.patron import Patron, serving

METHOD = "GetSummary"
_MERCHANT = 50
_SECONDS = 3
_TRIALS = 20


def measure(lab: Lab) -> Outcome:
    """Take the rates of all servers in turn."""
    world, cores = lab.world, lab.cores
    with ExitStack() as stack:
        patrons = {
            transport: stack.enter_context(
                serving(transport, world.databases, cores, {"PATRON_TRANSPORT": transport})
            )
            for transport in ("native", "grpcio")
        }
        size = max(len(_cached_answer(lab, patron)) for patron in patrons.values())
        token = world.tokens.of(_MERCHANT)
        loads = {f"patron on {name}": summary_load(lab, patron) for name, patron in patrons.items()}
        bare = {
            "bare grpcio": stack.enter_context(echo.bare_grpcio(cores)),
            "bare grpc-go": stack.enter_context(echo.bare_grpc_go(cores)),
        }
        for name, target in bare.items():
            if target is not None:
                sent = echo.message(size)
                _check_echo(target, sent)
                loads[name] = Load(FOLDER, target, echo.METHOD, sent, token)
        rates = _take_turns(lab, loads, patrons)
    native, grpcio = rates["patron on native"], rates["patron on grpcio"]
    floor, go = rates["bare grpcio"], rates.get("bare grpc-go")
    return Outcome(
        {
            "cached_summary_vs_bare_grpcio": median_ratio(native, floor),
            "cached_summary_vs_bare_grpc_go": median_ratio(native, go) if go else None,
            "cached_summary_on_grpcio_vs_bare_grpcio": median_ratio(grpcio, floor),
        },
        {
            "answer_bytes": size,
            "calls_per_second": rates,
        },
    )


def _cached_answer(lab: Lab, patron: Patron) -> bytes:
    """Ask for the summary until it comes from the cache, and return it."""
    request = calls.get_summary().SerializeToString()
    with grpc.insecure_channel(patron.target) as channel:
        method: Any = channel.unary_unary(calls.path(METHOD))
        for _ in range(_TRIALS):
            answer, call = method.with_call(request, metadata=lab.world.tokens.metadata(_MERCHANT))
            if ("patron-cache", "hit") in tuple(call.trailing_metadata()):
                return bytes(answer)
    raise NotMeasured("a summary that is asked for again and again does not come from the cache")


def summary_load(lab: Lab, patron: Patron) -> Load:
    """Return the load of one merchant's summary."""
    request = calls.get_summary().SerializeToString()
    token = lab.world.tokens.of(_MERCHANT)
    return Load(FOLDER, patron.target, calls.path(METHOD), request, token)


def _take_turns(
    lab: Lab, loads: dict[str, Load], patrons: dict[str, Patron]
) -> dict[str, list[float]]:
    counts = {name: load.calls_in(lab.effort.seconds(_SECONDS)) for name, load in loads.items()}
    before = {name: patron.answered(METHOD) for name, patron in patrons.items()}
    rates: dict[str, list[float]] = {name: [] for name in loads}
    for turn in range(lab.effort.rounds):
        for name, load in loads.items():
            rates[name].append(load.run(counts[name]))
        now = ", ".join(f"{name} {taken[-1]:,.0f}/s" for name, taken in rates.items())
        say(f"round {turn + 1}: {now}")
    for name, patron in patrons.items():
        patron.expect_answered(
            METHOD, before[name], lab.effort.rounds * counts[f"patron on {name}"]
        )
    return rates


def _check_echo(target: str, sent: bytes) -> None:
    with grpc.insecure_channel(target) as channel:
        method: Any = channel.unary_unary(echo.METHOD)
        if method(sent) != sent:
            raise NotMeasured(f"the floor at {target} is no echo")
