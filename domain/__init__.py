"""What the business means: values, rules and use cases, in the standard library alone."""
