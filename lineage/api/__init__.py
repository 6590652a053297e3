"""The REST endpoints of lineage."""
