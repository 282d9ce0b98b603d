"""Attachments: the store of their bytes, their rows, their previews. See docs/internals/attachments.md."""
