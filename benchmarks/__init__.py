"""Programs that measure; their results, with hardware and commit, lie in `benchmarks/results`."""
