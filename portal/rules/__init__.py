"""Decisions: pure functions that know no database, no clock and no other room, and say why."""
