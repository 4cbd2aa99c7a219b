"""Jobs for other processes, which must be able to import them."""

import os


def double(number: int) -> int:
    """Return twice a number."""
    return 2 * number


def end_on_three(number: int) -> int:
    """End the process without a word at 3, as the system does when memory runs out."""
    if number == 3:
        os._exit(1)
    return number
