"""Statements: from a shape to the text that the engine gets."""
