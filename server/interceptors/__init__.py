"""What happens to every call before and after its handler."""

from server.interceptors.chain import Chain, default_interceptors

__all__ = ["Chain", "default_interceptors"]
