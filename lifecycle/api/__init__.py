"""The lifecycle over REST: each method makes one domain call."""
