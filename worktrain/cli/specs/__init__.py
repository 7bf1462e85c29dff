"""`spec` and what follows it: listing, checking, drawing and running the specs of sessions."""
