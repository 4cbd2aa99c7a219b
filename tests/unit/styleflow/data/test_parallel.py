"""Work in several processes keeps its order, and a process that ends takes nothing along."""

import os

import pytest

from styleflow.data.parallel import in_processes
from styleflow.errors import WorkersLost
from tests.support.jobs import double, end_on_three


def test_results_come_in_the_order_of_the_jobs():
    assert list(in_processes(double, range(9), 2)) == [2 * n for n in range(9)]


def test_one_process_is_this_one():
    assert list(in_processes(lambda _: os.getpid(), [1, 2], 1)) == [os.getpid()] * 2


def test_a_process_that_ends_on_its_own_is_an_error_that_says_what_to_do():
    with pytest.raises(WorkersLost, match="one of 2 processes ended on its own") as caught:
        list(in_processes(end_on_three, range(6), 2))
    assert "--processes 1" in caught.value.hint
