"""Faces in pictures: detection, tracking, alignment. Shared by training and live video."""
