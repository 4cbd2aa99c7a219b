"""styleflow-live, the default: a compact style encoder and a causal StyleGRU."""
