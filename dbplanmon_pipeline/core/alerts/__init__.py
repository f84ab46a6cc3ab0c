"""Messages about incidents, channels and jobs, and when a channel may be used."""
