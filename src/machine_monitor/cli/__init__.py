"""Thin commands: parse, call one service, print."""
