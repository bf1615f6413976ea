"""Mail -> pairs of message and reply, for a model that replies as its user does."""
