"""From a picture to straightened faces: find, follow, align. Shared by training and live video."""
