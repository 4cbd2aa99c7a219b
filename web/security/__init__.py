"""Security: tokens and scopes, request checks, access policy, and fetching by URL."""
