"""Verbs of a session: pure functions over contracts, told what happened, answering what to do."""
