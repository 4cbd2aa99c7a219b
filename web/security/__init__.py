"""Who may do what: tokens, request checks and access policy."""
