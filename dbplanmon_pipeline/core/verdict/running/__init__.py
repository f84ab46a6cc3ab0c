"""One tick after the other: judged from the new rows and what is kept of those before."""
