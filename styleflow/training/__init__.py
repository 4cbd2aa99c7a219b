"""Training: recipes, one short loop, and a method for each detector."""
