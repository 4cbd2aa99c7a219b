"""Validation of whole settings: what `serve` would refuse, found before anything is started.

`config check` and `serve` both ask here, so that they refuse alike.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from importlib.util import find_spec
from ipaddress import ip_address

from cli.errors import ConfigInvalid
from cli.settings import Settings
from stream.alerts.settings import faults as alert_faults
from stream.canary import is_canary
from stream.errors import SourceUrlInvalid
from stream.ingest.check import check as check_source
from stream.store.errors import StoreUrlInvalid
from stream.store.settings import StoreSettings
from styleflow.detectors.gend.entry import NAMES as ON_THE_HUB
from styleflow.detectors.registry import BUILT_IN
from styleflow.ensemble import NAME as ENSEMBLE
from styleflow.weights.places import fetched
from web.errors import AuthError
from web.security.auth import check_binding


def validate(settings: Settings, origin: str, *, untrained: bool = False) -> None:
    """Raise ConfigInvalid with everything that cannot be served.

    Args:
        settings: what is to be served.
        origin: file that they come from, for the message.
        untrained: detectors without weights are given random ones.
    """
    faults = (
        *_bad_address(settings),
        *(() if settings.cluster.address else _absent_device(settings.model.device)),
        *_bad_streams(settings),
        *_bad_store(settings.store),
        *alert_faults(settings.alerts),
        *_absent_apprise(settings),
        *_absent_canaries(settings),
        *_absent_files(settings, untrained=untrained),
        *_unknown_detectors(settings),
        *_bad_second_look(settings, untrained=untrained),
    )
    if faults:
        raise ConfigInvalid(origin, faults)


def _bad_address(settings: Settings) -> Iterator[str]:
    web, host = settings.web, settings.web.host
    try:
        check_binding(host, web.tokens, web.allowed_hosts, insecure=web.insecure)
    except AuthError as error:
        key = "web.host" if error.host == host else "web.allowed_hosts"
        yield f"{key}: a token is needed to listen here: {error}. {error.hint}"
    reason = _no_address_of_ours(host)
    if reason:
        yield f"web.host: {host} {reason}"


def _no_address_of_ours(host: str) -> str:
    """Return why nobody can listen on a numeric address; names are resolved at the start."""
    try:
        family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
    except ValueError:
        return ""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
    except OSError as error:
        return f"cannot be listened on: {error.strerror}"
    return ""


def _absent_device(name: str) -> Iterator[str]:
    if name == "cpu":
        return
    import torch  # here: whoever runs on the CPU does not wait for it

    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(name.partition(":")[2] or 0) >= found:
        yield f"model.device: there is no {name} here, but {found or 'no'} CUDA devices; say cpu"


def _bad_streams(settings: Settings) -> Iterator[str]:
    count, most = len(settings.streams), settings.analyzer.max_streams
    alone = settings.cluster.workers == 0 and not settings.cluster.address
    if alone and count > most:
        yield f"streams: {count} are more than analyzer.max_streams allows ({most})"
    for index, stream in enumerate(settings.streams):
        if is_canary(stream.id):
            yield f"streams[{index}].id: {stream.id!r} is kept for the analyzer's own canaries"
        try:
            check_source(stream.spec().source)
        except SourceUrlInvalid as error:
            yield f"streams[{index}].source.url: {error.reason} ({error.shown})"


def _absent_apprise(settings: Settings) -> Iterator[str]:
    if settings.alerts.channels.apprise and find_spec("apprise") is None:
        yield "alerts.channels.apprise: needs a library; pip install 'styleflow-live[notify]'"


def _absent_canaries(settings: Settings) -> Iterator[str]:
    """Yield which files of canaries are missing."""
    for index, pair in enumerate(settings.canaries.own if settings.canaries.enabled else ()):
        for role, path in (("real", pair.real), ("fake", pair.fake)):
            if not path.is_file():
                yield f"canaries.own[{index}].{role}: {path} is not here"


def _bad_store(store: StoreSettings) -> Iterator[str]:
    url = store.url.get_secret_value()
    if not url or not store.enabled:
        return
    from stream.store.database import check_url  # here: it loads a database's library

    try:
        check_url(url)
    except StoreUrlInvalid as error:
        yield f"store.url: {error.reason} ({error.shown})"


def _absent_files(settings: Settings, *, untrained: bool) -> Iterator[str]:
    """Yield which files of weights are missing."""
    own = settings.model.checkpoint
    if own is not None and not own.is_file():
        yield f"model.checkpoint: {own} is not here; {_remedy(BUILT_IN)}"
    for index, detector in enumerate(settings.detectors):
        at, path = f"detectors[{index}].checkpoint", detector.checkpoint
        if detector.name != BUILT_IN and untrained:
            continue
        if path is None and detector.name != BUILT_IN and fetched(detector.name) is None:
            yield f"{at}: {detector.name} needs a file of weights; {_remedy(detector.name)}"
        elif path is not None and not path.is_file():
            yield f"{at}: {path} is not here; {_remedy(detector.name)}"
    if settings.ensemble is not None and not settings.ensemble.is_file():
        yield f"ensemble: {settings.ensemble} is not here; fit one with `styleflow ensemble fit`"


def _bad_second_look(settings: Settings, *, untrained: bool) -> Iterator[str]:
    """Yield why faces cannot be shown to the heavier detector."""
    name, path = settings.second_look.detector, settings.second_look.checkpoint
    if name is None:
        return
    if name in ([detector.name for detector in settings.detectors] or [BUILT_IN]):
        yield f"second_look.detector: {name} looks at every stream already; name a heavier one"
    if path is not None and not path.is_file():
        yield f"second_look.checkpoint: {path} is not here; {_remedy(name)}"
    if path is None and name != BUILT_IN and fetched(name) is None and not untrained:
        yield f"second_look.checkpoint: {name} needs a file of weights; {_remedy(name)}"


def _unknown_detectors(settings: Settings) -> Iterator[str]:
    """Yield whose verdicts should open incidents but cannot, because nobody here is called so."""
    here = [detector.name for detector in settings.detectors] or [BUILT_IN]
    if settings.ensemble is not None:
        here.append(ENSEMBLE)
    for index, name in enumerate(settings.incidents.detectors):
        if name not in here:
            yield f"incidents.detectors[{index}]: {name} is not here; there is {', '.join(here)}"


def _remedy(name: str) -> str:
    if name == BUILT_IN:
        return "leave it out for the built-in model"
    made = f"`styleflow checkpoints import {name} FILE` makes one"
    if name in ON_THE_HUB:
        made = f"`styleflow checkpoints fetch {name}` downloads them, {made}"
    return f"{made}, --untrained does without"
