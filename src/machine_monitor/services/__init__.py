"""Business logic: the operations of the API and of the commands, independent of HTTP."""
