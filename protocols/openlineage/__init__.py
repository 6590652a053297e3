"""OpenLineage (2-0-2): events of other tools become runs here, and our runs go out as events."""
