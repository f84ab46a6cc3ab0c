"""What differs between two plans of a statement, and what of it matters."""
