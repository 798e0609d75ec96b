"""The Brian2 engine."""
