"""Logs a vSphere session out when the process that opened it was killed; a program of its own, standard library only.

It is told of the session on standard input, a line of JSON: host, port, cookie, and the SHA-256 of the server's
certificate. A second line means that the process has logged out itself; the end of the input means that it died.
"""

from __future__ import annotations

import json
import sys
from typing import Any

CALL_TIMEOUT_S = 10.0

_LOGOUT = (
    '<?xml version="1.0"?><Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>'
    '<Logout xmlns="urn:vim25"><_this type="SessionManager">{manager}</_this></Logout></Body></Envelope>'
)


def main() -> None:
    told = sys.stdin.readline()
    if told and not sys.stdin.readline():
        log_out(**json.loads(told))


def log_out(host: str, port: int, cookie: str, certificate: str, manager: str, agent: str) -> None:
    """Ends the session, on the server that it was opened on and no other."""
    # Here, so that a program which only waits, as nearly all of them do, is there at once.
    import hashlib
    import http.client
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(host, port, timeout=CALL_TIMEOUT_S, context=context)
    connection.connect()
    secured: Any = connection.sock
    if hashlib.sha256(secured.getpeercert(binary_form=True)).hexdigest() == certificate:
        headers = {"Cookie": cookie, "Content-Type": "text/xml", "SOAPAction": "urn:vim25/6.5", "User-Agent": agent}
        connection.request("POST", "/sdk", _LOGOUT.format(manager=manager), headers)
        connection.getresponse().read()
    connection.close()


if __name__ == "__main__":
    main()
