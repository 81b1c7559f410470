"""Which machine the load came from."""

import hashlib
import hmac
import platform
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from load.report.model import Machine

_MACHINE_ID: Final = Path("/etc/machine-id")
_PROCESSORS: Final = Path("/proc/cpuinfo")


def this_machine() -> Machine:
    """Return what reports tell of this machine."""
    processor = _processor()
    cores = psutil.cpu_count() or 1
    return Machine(
        id=_identity(processor, cores),
        system=platform.system(),
        processor=processor,
        cores=cores,
        python=platform.python_version(),
    )


def _processor() -> str:
    with suppress(OSError):
        for line in _PROCESSORS.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _identity(processor: str, cores: int) -> str:
    """Return what tells machines apart, and nothing else: it cannot be traced back."""
    secret = ""
    with suppress(OSError):
        secret = _MACHINE_ID.read_text(encoding="utf-8").strip()
    facts = "\n".join([platform.system(), platform.machine(), processor, str(cores)])
    return hmac.new(f"patron-load {secret}".encode(), facts.encode(), hashlib.sha256).hexdigest()[
        :16
    ]
