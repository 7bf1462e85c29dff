"""All IO that a workflow asks for."""
