"""Stamps in decoding order become those of presentation; those of presentation stay as they are."""

from collections.abc import Iterable

from styleflow.pictures.decode_order import MAX_REORDER, DecodeOrder


def shown(packets: Iterable[int], pictures: Iterable[int], delay: int = 2) -> list[int | None]:
    """Return the stamps of pictures that come out in this order, each after `delay` packets."""
    order, ahead, stamps = DecodeOrder(), iter(packets), []
    for _ in range(delay):
        order.take(next(ahead))
    for own in pictures:
        if (pts := next(ahead, None)) is not None:
            order.take(pts)
        stamps.append(order.stamp(own))
    return stamps


def test_stamps_in_decoding_order_are_put_in_order() -> None:
    """What AVI tells of I P B B P B B, as FFmpeg numbers it."""
    pictures = [1, *(n for first in range(2, 29, 3) for n in (first + 1, first + 2, first))]
    assert shown(range(1, 29), pictures) == list(range(1, 29))


def test_stamps_of_presentation_stay_as_they_are() -> None:
    packets = [0, *(n for last in range(3, 31, 3) for n in (last, last - 2, last - 1))]
    assert shown(packets, range(31)) == list(range(31))


def test_gaps_between_stamps_stay_where_they_are() -> None:
    stamps = [n + 10 * (n > 9) for n in range(30)]
    assert shown(stamps, stamps) == stamps


def test_a_packet_without_a_picture_does_not_shift_the_others_for_good() -> None:
    pictures = [n for n in range(100) if n != 5]
    stamps = shown(range(100), pictures)
    assert stamps == sorted(set(stamps))  # type: ignore[type-var]
    assert stamps[MAX_REORDER + 6 :] == pictures[MAX_REORDER + 6 :]


def test_a_packet_that_is_refused_leaves_no_stamp() -> None:
    order = DecodeOrder()
    for pts in (0, 1, 2):
        order.take(pts)
    order.forget(1)
    assert [order.stamp(own) for own in (0, 2)] == [0, 2]


def test_missing_stamps_are_no_order() -> None:
    order = DecodeOrder()
    for pts in (0, None, 2):
        order.take(pts)
    assert [order.stamp(own) for own in (0, None, 2)] == [0, None, 2]
