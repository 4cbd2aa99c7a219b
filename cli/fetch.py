"""`styleflow checkpoints fetch`: a published detector from its authors' page into the cache."""

from __future__ import annotations

from collections.abc import Mapping

import typer
from rich.console import Console

from cli.progress import DownloadBoard
from styleflow.errors import DownloadRefused
from styleflow.weights import fetching
from styleflow.weights.fetching import Offer, megabytes
from styleflow.weights.hub import Hub
from styleflow.weights.importing import publications
from styleflow.weights.places import fetched


def run(
    name: str,
    out: Console,
    environment: Mapping[str, str],
    *,
    agreed: bool,
    again: bool = False,
    library: bool = False,
) -> None:
    """Fetch a detector, after its size and licence have been shown and agreed to.

    Args:
        name: the detector.
        out: where to say what is done.
        environment: names the hub and its token.
        agreed: do not ask.
        again: fetch what is there already, too.
        library: download through the package `huggingface_hub`.
    """
    publications(name)  # an unknown name is said before anything else
    path = fetched(name)
    if path is not None and not again:
        _say(out, f"{name} is here already: {path}; --again fetches it anew")
        return
    with Hub.of(environment, library=library) as hub:
        offer = fetching.look_up(name, hub, lambda text: _say(out, text))
        show(offer, out)
        if not agreed:
            ask(offer)
        try:
            with DownloadBoard(out) as board:
                path = fetching.fetch(offer, hub, board.show, board.say)
        except KeyboardInterrupt:
            kept = "nothing is kept" if library else "what has come is kept, the next call goes on"
            _say(out, f"stopped; {kept}")
            raise
    _say(out, f"ready: {path}")
    _say(out, f"Try it: styleflow analyze VIDEO --detector {name}")


def show(offer: Offer, out: Console) -> None:
    """Say what will be downloaded, from where, and what it may be used for."""
    _say(out, f"{offer.name}, {megabytes(offer.size)} from {offer.page}")
    for file in offer.files:
        _say(out, f"  {file.name}  {megabytes(file.size)}")
    _say(out, f"licence  {offer.licence}")
    if offer.terms:
        _say(out, f"terms    {offer.terms}")


def ask(offer: Offer) -> None:
    """Ask for agreement. Raises DownloadRefused."""
    question = "Download it under this licence?"
    if offer.terms:
        question = "Have you read these terms, and do you agree to them?"
    try:
        if typer.confirm(question):
            return
    except typer.Abort:  # nobody is there to answer
        pass
    raise DownloadRefused(offer.name, offer.licence)


def _say(out: Console, text: str) -> None:
    out.print(text, markup=False, highlight=False, soft_wrap=True)
