"""The processes that generate the load, and what they are told to do."""
