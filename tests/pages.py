"""Our pages as a reader has them, for tests."""

import json
import re
from html.parser import HTMLParser

MOST = 100_000
"""Bytes of a card."""
VOID = {"meta", "link", "br", "img"}


class Page(HTMLParser):
    """Tags, attributes and text; fails where tags do not close in turn."""

    def __init__(self, markup):
        super().__init__()
        self.tags, self.links, self.told, self._open = [], [], [], []
        self.feed(markup)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in {"src", "href", "action", "srcset"}]
        assert not [name for name, _ in attributes if name.startswith("on")]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.told.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.told).split())


def page(file):
    return Page(file.read_text(encoding="utf-8"))


def change(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def alone(markup):
    """The card as a reader has it, once it is known to stand alone and to be bounded."""
    found = Page(markup)
    assert found.links == []
    assert not {"script", "iframe", "object", "img", "link", "base", "form"} & set(found.tags)
    assert not re.search(r"<[^>]*\sid=", markup)
    assert "@import" not in markup
    assert "url(" not in markup
    assert set(re.findall(r"https?://[^\s\"'<]+", markup)) <= {"http://www.w3.org/2000/svg"}
    assert len(markup.encode()) < MOST
    return found
