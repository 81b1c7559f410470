"""What goes wrong with a measurement."""


class NotMeasured(Exception):
    """A figure cannot be measured, or what was measured is not what it should be; says why."""
