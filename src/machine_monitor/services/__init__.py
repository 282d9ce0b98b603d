"""Verbs: what people and programs do with records, whether by HTTP or by command."""
