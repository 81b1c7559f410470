"""Unleash, run for one machine."""

from tests.support.unleash import Unleash


def test_keeps_flags(unleash: Unleash) -> None:
    """A flag is made, moved and switched off by the Admin API."""
    flag = unleash.new_flag(percent=10)
    unleash.set_share(flag, 50)
    unleash.disable(flag)

    assert unleash.share(flag) == "50"
    assert not unleash.is_enabled(flag)
    assert {e["createdBy"] for e in unleash.ask("GET", f"events/{flag}")["events"]} == {"patron"}
