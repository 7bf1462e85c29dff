"""Specs while they are written, as they lie on disk, before any session follows them."""
