"""A compiled path for drawing symbols, where the machine has a C compiler; plain torch stays the reference and the fallback."""
