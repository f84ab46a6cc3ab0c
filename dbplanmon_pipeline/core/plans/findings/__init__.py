"""What stands out in a plan: rules by theme, each with its evidence, its advice and its page in docs/findings."""
