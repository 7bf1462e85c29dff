"""The command line: parses words, calls the client, renders contracts."""
