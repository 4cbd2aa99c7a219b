"""Training of the published StyleFlow: StyleGRU first, then the whole detector."""
