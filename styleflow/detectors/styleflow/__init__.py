"""StyleFlow (CVPR 2024), as published."""
