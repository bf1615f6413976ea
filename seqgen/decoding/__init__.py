"""How the next symbol is chosen from the logits."""
