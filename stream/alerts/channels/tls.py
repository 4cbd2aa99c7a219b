"""TLS towards brokers and mail servers."""

from __future__ import annotations

import ssl
from pathlib import Path

from stream.alerts.errors import AlertUndelivered


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that verifies certificates and names.

    Args:
        ca_file: certificates to trust instead of the system's.

    Raises:
        AlertUndelivered: they cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError):
        raise AlertUndelivered("tls_ca_file cannot be read") from None
