"""FastAPI application: HTTP, WebSocket and access. No detection logic."""
