"""Nouns that cross a process boundary: frozen values, no behaviour beyond validation."""
