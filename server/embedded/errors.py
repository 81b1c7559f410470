"""What can go wrong with the embedded parts."""


class EmbeddedError(Exception):
    """The embedded parts cannot do what was asked. The message says what the operator can do."""


class DataDirectoryUnusable(EmbeddedError):
    """The data directory cannot be created or written, or holds what this version cannot use."""


class AlreadyServed(EmbeddedError):
    """Another process is the server of this data directory."""


class ProgramUnavailable(EmbeddedError):
    """The program is not to be had on this machine, or not for this user."""


class ProgramFailed(EmbeddedError):
    """A program did not start, stop or do its work. The message ends with its own words."""
