"""Pages for people who do not log in."""
