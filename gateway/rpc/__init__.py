"""All that knows gRPC: server, callers, status codes, translation, and one thin servicer a service."""
