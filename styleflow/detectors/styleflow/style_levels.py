"""Style levels: the style vectors of a W+ latent, of 18, that a published StyleFlow reads.

A StyleGAN generator of 1024 pixels takes 18 style vectors: the coarse ones (0-2) decide pose and
shape of the head, the middle ones (3-6) the features of the face, the fine ones (7-17) colour and
texture. The released code can train on any group alone or on neighbouring groups together.
"""

from __future__ import annotations

from dataclasses import dataclass

STYLES = 18  # of a 1024-pixel generator: 2 * log2(1024) - 2

_GROUPS = {"coarse": range(0, 3), "middle": range(3, 7), "fine": range(7, STYLES)}
_NAMED = {
    "coarse": ("coarse",),
    "middle": ("middle",),
    "fine": ("fine",),
    "coarse+": ("coarse", "middle"),
    "middle+": ("middle", "fine"),
    "total": ("coarse", "middle", "fine"),
    "coarse,fine": ("coarse", "fine"),
}


@dataclass(frozen=True, slots=True)
class StyleLevels:
    """A choice of style levels.

    Attributes:
        name: `coarse`, `middle`, `fine`, the released code's `coarse+` (coarse and middle) and
            `middle+` (middle and fine), `total` (all), or `coarse,fine`.
    """

    name: str = "total"

    def __post_init__(self) -> None:
        """Refuse a name that chooses nothing."""
        if self.name not in _NAMED:
            raise ValueError(f"style levels are one of {', '.join(_NAMED)}, not {self.name!r}")

    @property
    def styles(self) -> tuple[int, ...]:
        """The chosen styles in ascending order, each in 0..17."""
        return tuple(i for group in _NAMED[self.name] for i in _GROUPS[group])

    @classmethod
    def of_count(cls, count: int) -> StyleLevels:
        """Return the levels that have this many styles.

        The input width of a released StyleGRU is 512 times this count, and no two choices of the
        released code agree in it.

        Raises:
            ValueError: no choice has this many styles.
        """
        for name in _NAMED:
            levels = cls(name)
            if len(levels.styles) == count:
                return levels
        raise ValueError(f"no choice of style levels has {count} styles")


ALL_LEVELS = tuple(_NAMED)
