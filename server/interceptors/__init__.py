"""What happens to every call before and after its handler."""

from server.interceptors.chain import Chain, default_interceptors
from server.interceptors.overload import Overload

__all__ = ["Chain", "Overload", "default_interceptors"]
