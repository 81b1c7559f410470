"""Go's text/template, as ghz uses it in data and metadata."""
