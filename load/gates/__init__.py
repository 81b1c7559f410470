"""What a run must show: thresholds, and comparisons with a server or a report."""
