"""How dates are written: the same everywhere, sortable, UTC."""
