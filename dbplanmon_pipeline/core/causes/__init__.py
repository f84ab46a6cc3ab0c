"""What may have caused an incident, and the facts of databases that tell of it."""
