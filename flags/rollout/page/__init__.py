"""The page of rollouts: one file for a browser, which asks for nothing but `rollouts.json`."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

JSON_HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}
"""What is sent with the data, beside its type."""


@dataclass(frozen=True, slots=True)
class Html:
    """A page as it is sent."""

    body: bytes
    headers: Mapping[str, str]
    """What is sent with it, beside its type."""


@cache
def rollouts_html() -> Html:
    """Return the page; its policy lets the browser run its own script and ask its own origin."""
    page, style, script = (_read(f"page.{kind}") for kind in ("html", "css", "js"))
    page = page.replace("<!--style-->", f"<style>{style}</style>")
    page = page.replace("<!--script-->", f"<script>{script}</script>")
    policy = "; ".join(
        [
            "default-src 'none'",
            "connect-src 'self'",
            "img-src data:",  # The icon, which is none.
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
    headers = {
        **JSON_HEADERS,
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
    }
    return Html(page.encode(), headers)


def _read(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
