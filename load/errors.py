"""What a person can get wrong, told in one line."""


class LoadError(Exception):
    """Something that whoever started the run can mend; its text is all that there is to say."""


class ConfigError(LoadError):
    """An option, or a key of a configuration, that cannot be used; the text names it."""


class TargetError(LoadError):
    """A server that cannot be reached, or a method that cannot be found."""


class DataError(LoadError):
    """Data, metadata or a template from which no message can be made."""


class ReportError(LoadError):
    """A file that is no report, or not one that serves the purpose."""
