"""Live video to scores.

Pure parts decide, thin parts act: `engine`, `batcher`, `ingest.timeline`, `ingest.connection` and
`ingest.backoff` are told the time; only `supervisor` runs anything concurrently, and `files` one
video at a time.
"""
