"""Files of weights: our checkpoints, imports of published ones, downloads and their cache."""
