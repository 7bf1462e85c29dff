"""The programs of the collection have tests of their own, which are for their own repositories."""

collect_ignore = ["collection"]
