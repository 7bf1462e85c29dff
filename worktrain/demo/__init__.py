"""The demo: a sample repository, an issue, and a stand-in for the model that works on it."""
