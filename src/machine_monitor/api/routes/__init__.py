"""One file a resource; a signature says what its endpoint needs."""
