"""What is kept of the calls of a run, while it runs."""
