"""A page as a test sees it: its tags with their attributes, and its words."""

import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """Parsed at once; `text` is what is read, without style and script, blanks collapsed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._silent = 0
        self._words: list[str] = []
        self.feed(html)
        self.close()
        # A no-break space is kept: it is a promise about the line.
        self.text = re.sub(r"[ \t\n]+", " ", "".join(self._words))

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every such tag, in the order of the page."""
        return [attributes for name, attributes in self.tags if name == tag]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._silent += tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("style", "script")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._words.append(data)
