"""Who may ask: local users, passwords, tokens, one-time links."""
