"""The report of a run: ghz's, and what it does not have under the key `patron`."""
