"""From prepared windows to a checkpoint: recipes, losses and one short loop."""
