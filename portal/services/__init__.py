"""Verbs: one call, one transaction, one event."""
