"""CADDM (CVPR 2023), as published."""
