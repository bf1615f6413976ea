"""A session: what is typed becomes text, music or replies, line after line. It knows no terminal, only a `Stage`."""
