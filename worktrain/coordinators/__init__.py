"""Verbs of a pipeline, pure: which phase is next, what it is told, whether to merge."""
