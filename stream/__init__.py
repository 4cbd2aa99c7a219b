"""Live video to scores.

Pure parts decide, thin parts act: `engine`, `batcher`, `ingest.timeline`, `ingest.connection` and
`ingest.backoff` are told the time; only `analyzer` runs anything concurrently, and `offline.files`
one video at a time.
"""
