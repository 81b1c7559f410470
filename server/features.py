"""Who has which feature, as the settings say: by Unleash, or by a file where there is none."""

import os
import platform
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from flags.deciding import SHIPPED_FLAGS
from flags.deciding.features import RememberingFeatures, features_in
from flags.deciding.snapshot import FlagsUnusable, Snapshot
from server.metrics import Readings
from server.metrics.parts import show_flags
from server.settings import Settings, SettingsError

T = TypeVar("T")


@asynccontextmanager
async def running_features(
    settings: Settings, number: int, readings: Readings
) -> AsyncIterator[RememberingFeatures]:
    """Lend what decides; it hears from Unleash for as long as the body runs.

    Args:
        settings: Where the flags are.
        number: Which of the workers on the data directory this is.
        readings: Where it is shown how old the flags are.

    Raises:
        SettingsError: A file of flags holds none, or the token for Unleash is missing.
    """
    if settings.unleash_url is None:
        yield _usable("flags_file", features_in, settings.flags_file or SHIPPED_FLAGS)
        return
    # A server without Unleash saves its client's memory.
    from flags.deciding.unleash import Unleash, features_of  # noqa: PLC0415

    url, token = settings.require_unleash()
    bootstrap = None
    if settings.flags_bootstrap_file is not None:
        bootstrap = _usable("flags_bootstrap_file", Snapshot.read, settings.flags_bootstrap_file)
    unleash = Unleash(
        url=url,
        token=token,
        refresh_seconds=settings.flags_refresh_seconds,
        instance=f"{platform.node()}:{os.getpid()}",
    )
    last_good = settings.data_dir / "flags" / f"worker-{number}.json"
    async with features_of(unleash, last_good=last_good, bootstrap=bootstrap) as features:
        show_flags(readings, features)
        yield features


def _usable(setting: str, read: Callable[[Path], T], file: Path) -> T:
    """Return what is read from a file of flags; raises SettingsError where there are none."""
    try:
        return read(file)
    except FlagsUnusable as error:
        raise SettingsError(f"PATRON_{setting.upper()}", f"names {file}, which {error}") from error
