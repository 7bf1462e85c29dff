"""Durable order: ask the pure part, carry out its one command, remember the answer."""
