"""Picture of the house: rooms, and the imports between them, drawn as `docs/images/house.svg`.

A room is a folder of a package, or a module beside the folders. The picture is made of the import
statements and of the first lines of the rooms' docstrings, so it changes when a room, an arrow or
the number of a room's modules does, and not with every line of code. Arrows that follow from
others are left out; so are arrows to values, which every room may read.

`make house` draws it anew, and a test compares the committed file with what is drawn.
"""

from __future__ import annotations

import argparse
import ast
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from itertools import accumulate, pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "house.svg"
PACKAGES = ("cli", "web", "stream", "styleflow")
"""From the top of the picture to its bottom: each may import those below it."""

LEGEND = (
    "imports those below, never back; arrows that follow from others are left out; "
    "blue: rooms of lower packages"
)

Graph = Mapping[str, frozenset[str]]

WIDTH, EDGE, HEADER, LAYER, STRIP, LETTER = 1240, 24, 42, 36, 30, 5.9
BOX_HEIGHT, BOX_GAP, LEAST_BOX, MOST_BOX, PASSAGE = 70, 16, 130, 264, 8
STYLE = """
.band{fill:#f6f8fa;stroke:#d0d7de}.box{fill:#fff;stroke:#57606a;stroke-width:1.2}
.chip{fill:#e7f0fb;stroke:#0b5cad;stroke-width:1}
.title{font-weight:700;font-size:17px;fill:#1f2328}.name{font-weight:600;font-size:13.5px;fill:#1f2328}
.small{font-size:10.5px;fill:#424a53}.uses{font-size:10px;fill:#0b5cad}
.arrow{stroke:#6e7781;stroke-width:1.3;fill:none;marker-end:url(#tip)}.tip{fill:#6e7781}
@media (prefers-color-scheme:dark){.band{fill:#161b22;stroke:#30363d}
.box{fill:#22272e;stroke:#8b949e}
.chip{fill:#13283f;stroke:#6cb6ff}.title,.name{fill:#e6edf3}.small{fill:#adbac7}.uses{fill:#6cb6ff}
.arrow{stroke:#8b949e}.tip{fill:#8b949e}}
""".strip()


@dataclass(frozen=True)
class Room:
    """A folder of a package, or a module beside the folders."""

    package: str
    name: str
    says: str
    """First line of the docstring."""
    modules: int
    """Modules in it, not counting `__init__`; 0 for a module beside the folders."""
    needs: frozenset[str]
    """Rooms that it imports from, as `package.name`."""

    @property
    def full(self) -> str:
        """Return the name with its package."""
        return f"{self.package}.{self.name}"


def read_house(root: Path = ROOT) -> dict[str, Room]:
    """Return every room below a repository's root, by `package.name`."""
    sources: dict[str, list[Path]] = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            if parts[1] != "__init__":
                sources.setdefault(f"{package}.{parts[1]}", []).append(path)
    rooms = {}
    for full, paths in sources.items():
        package, name = full.split(".")
        trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}
        top = min(paths, key=lambda path: (len(path.parts), path.stem != "__init__"))
        folder = (root / package / name).is_dir()
        rooms[full] = Room(
            package,
            name,
            opening(trees[top]),
            sum(path.stem != "__init__" for path in paths) if folder else 0,
            frozenset(imported_rooms(trees.values()) & sources.keys()) - {full},
        )
    return rooms


def opening(module: ast.Module) -> str:
    """Return the first line of a module's docstring as plain text."""
    return (ast.get_docstring(module) or "").split("\n")[0].replace("`", "")


def imported_rooms(trees: Iterable[ast.Module]) -> set[str]:
    """Return `package.name` of whatever these modules import from."""
    found = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {".".join(name.split(".")[:2]) for name in found}


def values(rooms: Iterable[Room]) -> set[str]:
    """Return modules beside the folders that need only one another in their package."""
    found = {
        room.full: {need for need in room.needs if need.startswith(room.package + ".")}
        for room in rooms
        if not room.modules
    }
    while dropped := {full for full, needs in found.items() if not needs <= found.keys()}:
        found = {full: needs for full, needs in found.items() if full not in dropped}
    return set(found)


def reachable(graph: Graph, start: str) -> set[str]:
    """Return everything that can be reached from a node, without the node unless in a circle."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for target in graph[waiting.pop()] - found:
            found.add(target)
            waiting.append(target)
    return found


def reduced(graph: Graph) -> dict[str, frozenset[str]]:
    """Return a graph without the arrows that follow from others; rooms in circles keep theirs."""
    below = {node: reachable(graph, node) for node in graph}
    return {
        node: frozenset(
            target
            for target in targets
            if node in below[target]
            or not any(
                target in below[other] and other not in below[target]
                for other in targets - {target}
                if node not in below[other]
            )
        )
        for node, targets in graph.items()
    }


def layers(graph: Graph) -> list[list[str]]:
    """Return the nodes from the lowest layer up, each right below the lowest that needs it."""
    below = {node: reachable(graph, node) for node in graph}
    # A room that needs less comes earlier; rooms in a circle need the same and share a layer.
    order = sorted(graph, key=lambda node: (len(below[node] - {node}), node))
    depth: dict[str, int] = {}
    for node in order:
        lower = [depth[other] for other in below[node] if node not in below[other]]
        depth[node] = 1 + max(lower, default=-1)
    for node in reversed(order):
        circle = {node} | {other for other in below[node] if node in below[other]}
        users = [depth[user] for user in graph if user not in circle and graph[user] & circle]
        depth[node] = min(users, default=depth[node] + 1) - 1
    return [
        [node for node in graph if depth[node] == level]
        for level in range(max(depth.values(), default=-1) + 1)
    ]


@dataclass
class Spot:
    """A place in a layer: a room's box, or the point at which an arrow passes the layer."""

    width: float
    x: float = 0.0
    """Of its middle."""


def passages(graph: Graph, rows: list[list[str]]) -> tuple[list[list[str]], list[list[str]]]:
    """Return the rows with a passage for every arrow that crosses one, and each arrow's way."""
    level = {node: index for index, row in enumerate(rows) for node in row}
    rows, ways = [list(row) for row in rows], []
    for node in sorted(graph):
        for target in sorted(graph[node]):
            way = [node]
            for between in range(level[node] - 1, level[target], -1):
                way.append(f"{node} to {target} at {between}")
                rows[between].append(way[-1])
            ways.append([*way, target])
    return rows, ways


def crossings(rows: list[list[str]], ways: list[list[str]]) -> int:
    """Return how often arrows cross between neighbouring rows."""
    place = {node: index for row in rows for index, node in enumerate(row)}
    level = {node: index for index, row in enumerate(rows) for node in row}
    steps = [step for way in ways for step in pairwise(way)]
    return sum(
        (place[a] - place[c]) * (place[b] - place[d]) < 0
        for index, (a, b) in enumerate(steps)
        for c, d in steps[:index]
        if level[a] == level[c] and level[b] == level[d]
    )


def ordered(rows: list[list[str]], ways: list[list[str]]) -> list[list[str]]:
    """Return the rows in an order in which few arrows cross: each node near its neighbours."""
    near: dict[str, list[str]] = {node: [] for row in rows for node in row}
    for way in ways:
        for upper, lower in pairwise(way):
            near[upper].append(lower)
            near[lower].append(upper)
    best = rows = [sorted(row) for row in rows]
    for sweep in range(24):
        for index in range(len(rows)) if sweep % 2 else reversed(range(len(rows))):
            place = {
                node: (position + 0.5) / len(row)
                for row in rows
                for position, node in enumerate(row)
            }
            middle = {
                node: sum(place[other] for other in near[node]) / len(near[node])
                if near[node]
                else place[node]
                for node in rows[index]
            }
            rows[index] = sorted(rows[index], key=lambda node: (middle[node], node))
        if crossings(rows, ways) < crossings(best, ways):
            best = [list(row) for row in rows]
    return best


def room_for(row: list[str], wide: float) -> float:
    """Return how wide each box of a row may be."""
    passing = sum(" to " in node for node in row)
    free = wide - BOX_GAP * (len(row) - 1) - PASSAGE * passing
    return round(free / (len(row) - passing), 1) if passing < len(row) else wide


def laid_out(rows: list[list[str]], ways: list[list[str]], wide: float) -> dict[str, Spot]:
    """Return a spot for every node: rows spread over the width, nodes drawn to their neighbours."""
    room = min((room_for(row, wide) for row in rows), default=MOST_BOX)
    box = max(LEAST_BOX, min(MOST_BOX, room))
    spots = {node: Spot(PASSAGE if " to " in node else box) for row in rows for node in row}
    near: dict[str, list[str]] = {node: [] for node in spots}
    for way in ways:
        for upper, lower in pairwise(way):
            near[upper].append(lower)
            near[lower].append(upper)
    for row in rows:
        pack(
            row,
            {node: (place + 0.5) * wide / len(row) for place, node in enumerate(row)},
            spots,
            wide,
        )
    for sweep in range(12):
        for row in rows if sweep % 2 else reversed(rows):
            wish = {
                node: sum(spots[other].x for other in near[node]) / len(near[node])
                if near[node]
                else spots[node].x
                for node in row
            }
            pack(row, wish, spots, wide)
    ends = [(spot.x - spot.width / 2, spot.x + spot.width / 2) for spot in spots.values()]
    if ends:  # in the middle of the width
        shift = round((wide - min(ends)[0] - max(end for _, end in ends)) / 2, 1)
        for spot in spots.values():
            spot.x += shift
    return spots


def pack(row: list[str], wish: Mapping[str, float], spots: dict[str, Spot], wide: float) -> None:
    """Put a row's nodes as near to where they wish as order, gaps and the width allow."""
    least, left = [], 0.0
    for node in row:
        least.append(left + spots[node].width / 2)
        left += spots[node].width + BOX_GAP
    slack = max(0.0, wide - (left - BOX_GAP))
    free = [wish[node] - lowest for node, lowest in zip(row, least, strict=True)]
    pushed = list(accumulate(free, max))
    pulled = list(accumulate(reversed(free), min))[::-1]
    for node, lowest, high, low in zip(row, least, pushed, pulled, strict=True):
        spots[node].x = round(lowest + min(slack, max(0.0, (high + low) / 2)), 1)


class Drawing:
    """SVG under construction, from the top down."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.y = float(EDGE)

    def text(self, x: float, y: float, kind: str, words: str, anchor: str = "start") -> None:
        """Write one line."""
        place = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self.parts.append(f'<text class="{kind}" x="{x:g}" y="{y:g}"{place}>{escape(words)}</text>')

    def box(self, kind: str, x: float, y: float, width: float, height: float) -> None:
        """Draw a rectangle with round corners."""
        self.parts.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}"'
            f' width="{width:g}" height="{height:g}" rx="7"/>'
        )

    def arrow(self, points: list[tuple[float, float]]) -> None:
        """Draw an arrow through points: bent between rows, straight where it passes one."""
        path = [f"M{points[0][0]:g} {points[0][1]:g}"]
        for (x0, y0), (x1, y1) in pairwise(points):
            half = (y0 + y1) / 2
            path.append(f"C{x0:g} {half:g} {x1:g} {half:g} {x1:g} {y1:g}")
        self.parts.append(f'<path class="arrow" d="{"".join(path)}"/>')

    def chips(self, label: str, words: Iterable[str]) -> None:
        """Write a row of names, each in a frame of its own."""
        self.text(2 * EDGE, self.y + 18, "small", label)
        x = 2 * EDGE + LETTER * len(label) + 12
        for word in words:
            width = round(8.6 * len(word) + 18, 1)
            if x + width > WIDTH - 2 * EDGE:
                x, self.y = 2.0 * EDGE, self.y + STRIP
            self.box("chip", x, self.y, width, 24)
            self.text(round(x + width / 2, 1), self.y + 16.5, "name", word, "middle")
            x = round(x + width + 8, 1)
        self.y += STRIP


def draw_room(drawing: Drawing, room: Room, spot: Spot, uses: Iterable[str]) -> None:
    """Draw one room: name, modules, what it is, and which rooms of packages below it reads."""
    left, top = spot.x - spot.width / 2 + 2 * EDGE, drawing.y
    drawing.box("box", round(left, 1), top, spot.width, BOX_HEIGHT)
    drawing.text(round(left + 9, 1), top + 18, "name", room.name)
    if room.modules:
        drawing.text(
            round(left + spot.width - 9, 1), top + 18, "small", f"{room.modules} modules", "end"
        )
    letters = int((spot.width - 12) / LETTER)
    says = textwrap.wrap(room.says, letters)
    if len(says) > 2:
        says = textwrap.wrap(room.says.split(". ")[0].split("; ")[0], letters)
    if len(says) > 2:
        says = [says[0], f"{says[1]} …"]
    for line, words in enumerate(says):
        drawing.text(round(left + 9, 1), top + 34 + 13 * line, "small", words)
    if uses := ", ".join(uses):
        words = textwrap.shorten(f"reads {uses}", letters, placeholder=" …")
        drawing.text(round(left + 9, 1), top + BOX_HEIGHT - 7, "uses", words)


def draw_package(drawing: Drawing, package: str, house: Mapping[str, Room], says: str) -> None:
    """Draw one package: its rooms in layers, the arrows between them, and its values below."""
    rooms = {full: room for full, room in house.items() if room.package == package}
    plain = values(rooms.values()) if any(r.modules for r in rooms.values()) else set(rooms)
    everybody = values(house.values())
    graph = reduced(
        {
            full: frozenset(room.needs & rooms.keys()) - plain
            for full, room in rooms.items()
            if full not in plain
        }
    )
    rows, ways = passages(graph, layers(graph))
    rows = ordered(rows, ways)
    spots = laid_out(rows, ways, WIDTH - 4 * EDGE)
    top, frame = drawing.y, len(drawing.parts)
    drawing.text(2 * EDGE, top + 27, "title", package)
    drawing.text(2 * EDGE + 11 * len(package) + 14, top + 27, "small", says)
    drawing.y = top + HEADER
    tops = {}
    for row in reversed(rows):
        for node in row:
            tops[node] = drawing.y
            if node in rooms:
                uses = sorted(
                    need.split(".")[1] for need in rooms[node].needs - rooms.keys() - everybody
                )
                draw_room(drawing, rooms[node], spots[node], uses)
        arcs = any({way[0], way[-1]} <= set(row) for way in ways)
        drawing.y += BOX_HEIGHT + (LAYER if arcs or row is not rows[0] else 16)
    for way in ways:
        draw_way(drawing, way, spots, tops, ways)
    if plain:
        label = "read by the rooms above:" if graph else "modules:"
        drawing.chips(label, sorted(full.split(".")[1] for full in plain))
    drawing.parts.insert(
        frame,
        f'<rect class="band" x="{EDGE}" y="{top:g}" width="{WIDTH - 2 * EDGE}"'
        f' height="{drawing.y + 10 - top:g}" rx="10"/>',
    )
    drawing.y += 10


def draw_way(
    drawing: Drawing,
    way: list[str],
    spots: Mapping[str, Spot],
    tops: Mapping[str, float],
    ways: list[list[str]],
) -> None:
    """Draw one arrow, from below the room that imports to above the one that is imported."""
    leaving = sorted((w for w in ways if w[0] == way[0]), key=lambda w: spots[w[1]].x)
    coming = sorted((w for w in ways if w[-1] == way[-1]), key=lambda w: spots[w[-2]].x)
    first, last = spots[way[0]], spots[way[-1]]
    x0 = port(first, leaving.index(way), len(leaving))
    y0 = tops[way[0]] + BOX_HEIGHT
    if tops[way[0]] == tops[way[-1]]:  # a circle of rooms: an arc below both
        x1 = last.x + 2 * EDGE
        drawing.parts.append(
            f'<path class="arrow" d="M{x0:g} {y0:g}'
            f'C{x0:g} {y0 + 30:g} {x1:g} {y0 + 30:g} {x1:g} {y0 + 2:g}"/>'
        )
        return
    points = [(x0, y0)]
    for node in way[1:-1]:
        x = round(spots[node].x + 2 * EDGE, 1)
        points += [(x, tops[node]), (x, tops[node] + BOX_HEIGHT)]
    points.append((port(last, coming.index(way), len(coming)), tops[way[-1]] - 1))
    drawing.arrow(points)


def port(spot: Spot, index: int, count: int) -> float:
    """Return where along a box the `index`-th of several arrows begins or ends."""
    return round(spot.x + 2 * EDGE + spot.width * ((index + 1) / (count + 1) - 0.5), 1)


def draw(root: Path = ROOT) -> str:
    """Return the picture of a repository's rooms as SVG."""
    house = read_house(root)
    drawing = Drawing()
    for index, package in enumerate(PACKAGES):
        module = ast.parse((root / package / "__init__.py").read_text(encoding="utf-8"))
        draw_package(drawing, package, house, opening(module))
        if index + 1 < len(PACKAGES):
            middle = WIDTH / 2
            drawing.arrow([(middle, drawing.y), (middle, drawing.y + 21)])
            drawing.text(middle + 12, drawing.y + 15, "small", LEGEND if index == 0 else "imports")
            drawing.y += 22
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {drawing.y + EDGE:g}"'
            ' role="img" aria-labelledby="t d" font-family="system-ui, sans-serif">',
            '<title id="t">The house</title><desc id="d">Rooms of every package, with arrows from'
            " a room to those that it imports.</desc>",
            f"<style>{STYLE}</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"'
            ' markerHeight="7" orient="auto"><path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>',
            *drawing.parts,
            "</svg>\n",
        ]
    )


def main() -> None:
    """Write the picture, or say whether the committed one is current."""
    parser = argparse.ArgumentParser(description="Draw the rooms of the house.")
    parser.add_argument("--out", type=Path, default=PICTURE)
    out: Path = parser.parse_args().out
    out.write_text(draw(), encoding="utf-8")
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
