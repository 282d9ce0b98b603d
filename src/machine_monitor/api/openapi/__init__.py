"""OpenAPI: what the signatures cannot say."""
