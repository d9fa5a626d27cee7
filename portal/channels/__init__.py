"""Bytes to and from the world, as dataclasses. Knows the rules at most: no rows, no requests, no jobs."""
