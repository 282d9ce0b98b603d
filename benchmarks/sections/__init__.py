"""The parts of a run: each measures one thing and returns what it saw as plain data."""
