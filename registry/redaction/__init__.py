"""Where a text stands in a namespace's records, and what is left where it was taken out."""
