"""Challenges: tasks that a person in a video is asked to do, and whether the video shows them."""
