"""Who may look and who may act: tokens, sessions, roles, and headers that protect both."""
