"""gRPC load testing that speaks ghz: the command `patron-load` and a plugin for locust."""
