"""`make bench`: how fast the desk is, on a database of its own that is loaded once and kept."""
