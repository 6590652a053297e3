"""Every change to the lifecycle: keyword-only, `by=` whom, atomic."""
