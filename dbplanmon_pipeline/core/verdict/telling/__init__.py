"""From what fired to a verdict: since when, how much, of which kind, with which reasons."""
