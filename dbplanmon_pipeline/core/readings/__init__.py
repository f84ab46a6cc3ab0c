"""From what a target shows to interval rows: counters, Query Store, plan cache, and what is kept of them."""
