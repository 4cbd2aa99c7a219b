"""The analyzer: runs streams from source to subscribers. The only place that starts threads."""
