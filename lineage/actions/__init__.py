"""Every change to lineage: keyword-only, `by=` whom, atomic."""
