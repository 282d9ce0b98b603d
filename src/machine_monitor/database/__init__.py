"""The only place that knows an engine: connect, read (finished JSON in one hop), write (one unit of work)."""
