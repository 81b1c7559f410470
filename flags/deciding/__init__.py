"""Who has a feature: what every request asks."""

from pathlib import Path
from typing import Final

SHIPPED_FLAGS: Final = Path(__file__).parents[1] / "features.json"
"""The flags that come with Patron, for a server without an Unleash: everything is on."""
