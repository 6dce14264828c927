"""Read the page that a server sends in place of a file, and the form with which it asks back."""

from __future__ import annotations

from contextlib import suppress
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin

_FORM = "download-form"  # as Google Drive calls it


class Page(HTMLParser):
    """A page: its title, and the address to which its form of a download leads.

    Google Drive asks before it sends a file that is too large for its search for viruses. The
    answer is a form of hidden fields, which a browser sends when somebody clicks.
    """

    def __init__(self, content: bytes, url: str) -> None:
        super().__init__()
        self.title = ""
        self._url, self._action = url, ""
        self._fields: dict[str, str] = {}
        self._inside: set[str] = set()
        with suppress(AssertionError):  # the parser's, at a declaration that it does not know
            self.feed(content.decode("utf-8", errors="replace"))

    def address(self) -> str | None:
        """Return where the form leads, or None if there is no form, or it leads to no server."""
        try:
            address = urljoin(self._url, f"{self._action}?{urlencode(self._fields)}")
        except ValueError:  # such as half of an IPv6 address
            return None
        is_web = address.startswith(("http://", "https://"))
        return address if self._action and is_web else None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of the form and its fields."""
        values = {name: value or "" for name, value in attrs}
        if tag == "title":
            self._inside.add(tag)
        elif tag == "form" and values.get("id") == _FORM:
            self._inside.add(tag)
            self._action = values.get("action", "")
        elif tag == "input" and "form" in self._inside and "name" in values:
            self._fields[values["name"]] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        """Leave the form, or the title."""
        self._inside.discard(tag)

    def handle_data(self, data: str) -> None:
        """Take note of the title."""
        if "title" in self._inside:
            self.title += data
