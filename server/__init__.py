"""The gRPC service: handlers, interceptors, storage, cache and the command line."""
