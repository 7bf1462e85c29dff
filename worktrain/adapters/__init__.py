"""The outside, one folder per kind of system; each folder's `__init__` is its protocol."""
