"""The REST endpoints of the catalog, and the shapes of what they answer."""
