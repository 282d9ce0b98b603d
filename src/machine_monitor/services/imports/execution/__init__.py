"""Execute an import: batch by batch, and undo it."""
