"""ghz's language: its options, on the command line and in files, and what they come to."""
