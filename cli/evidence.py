"""`styleflow evidence`: bundles are made of the store, and checked without it."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from platformdirs import user_data_path
from rich.console import Console

from cli.config import shown
from cli.errors import Exit
from cli.incidents import evidence_folder, reading
from cli.model_cards import cards
from cli.settings import Settings
from stream.clock import SystemClock
from stream.evidence import bundle, contents, report, verify
from stream.evidence.signing import KEY_FILE, SigningKey
from web.routes.evidence_bundle import BundleSource

PACKAGES = ("av", "numpy", "openvino", "torch")
"""Besides this program, what scores depend on."""


def signing_key() -> SigningKey:
    """Return the key of this user, which is made at first use.

    Raises:
        SigningKeyLost: there is a key file that holds none.
        OSError: it cannot be made.
    """
    return SigningKey.at(user_data_path("styleflow") / KEY_FILE)


def show_key(out: Console) -> None:
    """Print the public key and its fingerprint."""
    key = signing_key()
    print_line(out, f"public key   {key.public.hex()}")
    print_line(out, f"fingerprint  {key.fingerprint}")


def export(
    settings: Settings, incident: str, file: Path, folder: Path | None, out: Console
) -> None:
    """Write an incident's bundle.

    Args:
        settings: of the analyzer.
        incident: its id.
        file: the zip file.
        folder: of evidence; the configuration's when None.
        out: where to say what was written.

    Raises:
        IncidentUnknown: there is none of this id.
        EvidenceMissing: its video should be there and is not.
        BundleUnmade: there is too much of it.
    """
    with reading(settings.store) as connection:
        told = contents.read(connection, incident, folder or evidence_folder(settings.evidence))
    made_of = contents.contents(told, shown(settings), versions(), cards(settings))
    key = signing_key()
    bundle.save(file, made_of, key, SystemClock().utc(), version("styleflow-live"))
    video = told.media or "no video, none is kept"
    print_line(out, f"{file}: {len(made_of.parts)} parts, {len(told.scores)} scores, {video}")
    print_line(out, f"signed by {key.fingerprint}")


def write_report(
    settings: Settings, incident: str, file: Path, folder: Path | None, out: Console
) -> None:
    """Write an incident's report, one page of HTML.

    Raises:
        IncidentUnknown: there is none of this id.
        EvidenceMissing: its video should be there and is not.
    """
    with reading(settings.store) as connection:
        told = contents.read(connection, incident, folder or evidence_folder(settings.evidence))
    facts = contents.facts(
        told,
        settings.engine.enter,
        version("styleflow-live"),
        signing_key().fingerprint,
        SystemClock().utc(),
    )
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        opened.write(report.render(facts))
    print_line(out, f"{file}: {len(facts.scores)} scores, {facts.clip or 'no video'}")


def check(file: Path, keys: Sequence[str], out: Console) -> Exit:
    """Print what a bundle is worth, and return the outcome.

    Args:
        file: the bundle.
        keys: fingerprints that are trusted; this user's own key when empty.
        out: where to.

    Raises:
        BundleRefused: it is no bundle, or may do harm.
    """
    known = {key.lower() for key in keys} or own_keys()
    checked = verify.check(file, known)
    print_line(
        out, f"incident {checked.incident or 'unknown'}, made {checked.made or 'at no known time'}"
    )
    for name in checked.intact:
        print_line(out, f"intact   {name}")
    for fault in checked.faults:
        print_line(out, f"CHANGED  {fault}")
    if checked.signer:
        said = "a key that is known here" if checked.known else "an UNKNOWN key"
        print_line(out, f"signed   by {said}: {checked.signer}")
    for words in checked.left_out:
        print_line(out, f"left out {words}")
    if checked.audit_number:
        print_line(out, f"audit    {checked.audit_entries} entries, each with its own hash")
        print_line(out, f"audit    log ended at entry {checked.audit_number}: {checked.audit_hash}")
    if not checked.whole:
        print_line(out, "not as it was signed")
        return Exit.ERROR
    if not checked.known:
        print_line(
            out, "as it was signed, by nobody known: compare the fingerprint with the analyzer's"
        )
        return Exit.NO_VERDICT
    print_line(out, "as it was signed")
    return Exit.OK


def bundle_source(settings: Settings) -> BundleSource:
    """Return what the analyzer makes bundles and reports of, besides its store."""
    return BundleSource(
        evidence_folder(settings.evidence),
        user_data_path("styleflow") / KEY_FILE,
        shown(settings),
        versions(),
        settings.engine.enter,
        partial(cards, settings),
    )


def versions() -> dict[str, str]:
    """Return what runs here, by name."""
    found = {
        "styleflow-live": version("styleflow-live"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    """Return what the processor calls itself; floating-point results may depend on it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "unknown")


def own_keys() -> set[str]:
    """Return the fingerprint of this user's key, if there is one; a check makes none."""
    path = user_data_path("styleflow") / KEY_FILE
    return {SigningKey.at(path).fingerprint} if path.exists() else set()


def print_line(out: Console, line: str) -> None:
    """Print a line whole; it may be somebody else's, so it cannot steer the terminal."""
    line = "".join(letter if letter.isprintable() else "\ufffd" for letter in line)
    out.print(line, markup=False, highlight=False, soft_wrap=True)
