"""Every change to the registry: keyword-only, `by=` whom, atomic, one event each."""
