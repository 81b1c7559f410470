"""Answers that are kept: in the worker's memory, and in Redis for all workers.

What may be served is decided by revisions: an answer names the revision of the merchant that it
reflects, and every write makes a higher one known before it is answered.
"""
