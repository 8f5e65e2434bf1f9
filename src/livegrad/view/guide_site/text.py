"""Pages of the guide as HTML: links lead to pages of the site, headings have anchors, nothing is markup."""

import posixpath
import re
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from livegrad.guide.page import Page


def to_html(page: Page) -> str:
    """Return the text below the page's heading."""
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table")
    _, _, body = page.text.partition("\n")
    tokens = parser.parse(body)
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", anchor(tokens[number + 1].content))
        if token.type == "table_open":
            token.attrSet("tabindex", "0")
        for child in token.children or ():
            _point(child, page)
    return parser.renderer.render(tokens, parser.options, {})


def anchor(heading: str) -> str:
    """Return what a heading is linked to by."""
    return re.sub(r"[^\w]+", "-", heading.casefold()).strip("-")


def _point(token: Token, page: Page) -> None:
    if token.type != "link_open":
        return
    target: Any = token.attrGet("href")
    path, mark, place = str(target).partition("#")
    if "://" in path:
        token.attrSet("rel", "noopener noreferrer")
    elif path.endswith(".md"):
        name = posixpath.basename(path).removesuffix(".md")
        token.attrSet("href", f"{name}.html{mark}{place}")
