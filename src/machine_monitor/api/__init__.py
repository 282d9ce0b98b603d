"""The HTTP layer: routing, authentication, parsing of requests, responses. No business logic."""
