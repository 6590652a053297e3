"""How Assay is put together: settings, addresses, processes, and the rules every route obeys."""
