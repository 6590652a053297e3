"""Search: a small language for people, compiled to one query over what the caller may see."""
