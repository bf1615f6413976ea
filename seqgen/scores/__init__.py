"""Pieces of music: as plain data, as text, and as files."""
