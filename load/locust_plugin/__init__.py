"""The plugin for locust: users that call by gRPC, shapes of ghz, and reports of both kinds."""
