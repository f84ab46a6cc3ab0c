"""How the amount of work of statements and instances changed, in figures and in words."""
