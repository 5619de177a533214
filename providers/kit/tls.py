"""What clients share about certificates: how a pin is read and shown, what a server shows, and texts as files."""

from __future__ import annotations

import os
import socket
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from providers.kit.retry import CONNECT_TIMEOUT_S


def digits(thumbprint: str) -> str:
    """A thumbprint without colons, in small letters, for comparing."""
    return thumbprint.replace(":", "").strip().lower()


def colons(thumbprint: str) -> str:
    """A thumbprint as people and vic-machine write it: capitals, a colon after each byte."""
    text = digits(thumbprint).upper()
    return ":".join(text[i : i + 2] for i in range(0, len(text), 2))


def shown_certificate(host: str, port: int) -> bytes:
    """The certificate that a server shows in its TLS handshake, trusted or not (DER); nothing else is sent.

    Raises:
        OSError: there is no such handshake.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S) as raw,
        context.wrap_socket(raw, server_hostname=host) as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


@contextmanager
def as_file(text: str) -> Iterator[str]:
    """A path for the TLS library, which reads no texts: in memory where the system can, so that no kill leaves a key.

    Elsewhere it is a file in a folder of our own (mode 700), there only as long as the block lasts.
    """
    if hasattr(os, "memfd_create"):
        memory = os.memfd_create("drydock", os.MFD_CLOEXEC)
        try:
            os.write(memory, text.encode())
            yield f"/proc/self/fd/{memory}"
        finally:
            os.close(memory)
        return
    with tempfile.TemporaryDirectory(prefix="drydock-") as folder:
        file = Path(folder, "pem")
        file.touch(mode=0o600)
        file.write_text(text)
        yield str(file)
