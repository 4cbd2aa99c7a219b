"""The picture of the house: rooms and arrows, from import statements."""

from pathlib import Path
from xml.etree import ElementTree

from docs.house import PICTURE, draw, layers, read_house, reduced, values


def house(root: Path, **sources: str) -> Path:
    """Write modules, named with `__` between folders, beside four empty packages."""
    for package in ("cli", "web", "stream", "styleflow"):
        (root / package).mkdir()
        (root / package / "__init__.py").write_text(f'"""What {package} is."""\n')
    for name, source in sources.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").write_text('"""A room."""\n')
        path.write_text(source)
    return root


def test_the_committed_picture_is_current() -> None:
    """`make house` draws it anew."""
    assert PICTURE.read_text(encoding="utf-8") == draw()


def test_rooms_are_folders_and_modules_with_what_they_import(tmp_path: Path) -> None:
    root = house(
        tmp_path,
        stream__events='"""Values."""\n',
        stream__engine__a="import stream.events\n",
        stream__engine__b="from stream.engine.a import x\nfrom styleflow import calibration\n",
        styleflow__calibration='"""`p` of a logit.\n\nMore."""\n',
    )
    rooms = read_house(root)
    assert set(rooms) == {"stream.events", "stream.engine", "styleflow.calibration"}
    assert rooms["stream.engine"].modules == 2
    assert rooms["stream.engine"].needs == {"stream.events", "styleflow.calibration"}
    assert rooms["styleflow.calibration"].says == "p of a logit."
    assert values(rooms.values()) == {"stream.events", "styleflow.calibration"}


def test_arrows_that_follow_from_others_are_left_out() -> None:
    graph = {"top": frozenset("ab"), "a": frozenset("b"), "b": frozenset()}
    assert reduced(graph) == {"top": {"a"}, "a": {"b"}, "b": frozenset()}


def test_a_circle_of_rooms_keeps_its_arrows_and_shares_a_layer() -> None:
    graph = {
        "top": frozenset("a"),
        "a": frozenset("bc"),
        "b": frozenset("ac"),
        "c": frozenset(),
    }
    assert reduced(graph)["a"] >= {"b"}
    assert reduced(graph)["b"] >= {"a"}
    assert [sorted(layer) for layer in layers(graph)] == [["c"], ["a", "b"], ["top"]]


def test_the_picture_is_the_same_every_time_and_does_not_count_lines(tmp_path: Path) -> None:
    root = house(tmp_path, web__routes__a="import stream\n", stream__engine__a="\n")
    before = draw(root)
    (root / "stream" / "engine" / "a.py").write_text("X = 1\n" * 50)
    assert draw(root) == before
    names = {node.text for node in ElementTree.fromstring(before).iter() if node.text}
    assert {"web", "routes", "engine"} <= names
    (root / "stream" / "engine" / "b.py").write_text("")
    assert draw(root) != before
