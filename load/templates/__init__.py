"""Go's text/template, as ghz uses it in data and metadata."""

from load.templates.template import Template, parse

__all__ = ["Template", "parse"]
