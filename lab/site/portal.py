"""The login page of a VCH's admin portal; for the appliance."""

from __future__ import annotations

import asyncio
import html

from lab.site import http
from lab.site.http import Answer

LOGIN = "/authentication"

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>VCH Admin</title></head>
<body>
<h1>Virtual Container Host {name}</h1>
<form action="/authentication" method="post">
<label>User name <input name="username"></label>
<label>Password <input name="password" type="password"></label>
<button type="submit">Login</button>
</form>
</body>
</html>
"""


class Portal:
    """The portal of one VCH.

    Args:
        name: the VCH's name.
    """

    def __init__(self, name: str) -> None:
        self._page = _PAGE.format(name=html.escape(name)).encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one request."""
        try:
            head = await http.read_head(reader)
            if head is not None:
                await http.send(writer, self._answer(head), body=head.first[0] != "HEAD")
        except (OSError, http.HttpError):
            return
        finally:
            writer.close()

    def _answer(self, head: http.Head) -> Answer:
        headers = {"connection": "close"}
        if head.first[1].partition("?")[0] == LOGIN:
            return Answer(200, {**headers, "content-type": "text/html; charset=utf-8"}, self._page)
        return Answer(303, {**headers, "location": LOGIN}, b"")
