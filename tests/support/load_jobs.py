"""Jobs that nothing real is done with."""

from load.calls import Call, Kind, Method, Moment, Payload
from load.jobs import Job, Pace, Ramp, Target


class _Nothing:
    def payload(self, moment: Moment) -> Payload:
        return Payload([b""])


def one_call(host: str) -> Job:
    """Return the job of calling a method a hundred times."""
    method = Method("shop.v1.Orders", "GetOrder", Kind.UNARY, "shop.v1.A", "shop.v1.B", b"")
    return Job(
        target=Target(host, None, authority="shop"),
        calls=[Call(method, _Nothing())],
        pace=Pace(workers=Ramp(start=10), total=100),
    )
