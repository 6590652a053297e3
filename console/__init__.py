"""The web pages people look at."""
