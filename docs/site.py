"""What the docs site adds to the files in this folder: the field guide, which lives in the package, and links
to it. Links to files that are not part of the site become plain text.
"""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "src" / "livegrad" / "guide"
# A figure is written once, in its light form; the site shows the one of the reader's theme, and what made it.
_FIGURE = re.compile(r"^(!\[[^\]]+\])\(([\w./-]*figures/)([\w-]+)-light\.svg\)$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|#|mailto:)([^)\s]+)\)")


def on_config(config: Any) -> Any:
    """Lay the pages of the guide into the navigation, by title."""
    for section in config.nav:
        for title, place in section.items():
            if isinstance(place, str) and place.startswith("guide/"):
                pages = sorted((GUIDE / place.removeprefix("guide/")).glob("*.md"), key=_title)
                section[title] = [{_title(page): f"{place}/{page.name}"} for page in pages]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the guide's pages to the site."""
    from mkdocs.structure.files import File

    for page in sorted(GUIDE.glob("*/*.md")):
        name = page.relative_to(GUIDE).as_posix()
        files.append(File.generated(config, f"guide/{name}", content=page.read_text(encoding="utf-8")))
    return files


def on_post_build(config: Any) -> None:
    """Put the guide's own site, with its search, graph and live figures, beside the pages."""
    from livegrad.view.guide_site.site import write_site

    write_site(Path(config.site_dir) / "field-guide")


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Lead links into the package's guide to its pages here, and drop those to other files."""
    here = Path(page.file.src_uri).parent
    markdown = _FIGURE.sub(_both_themes, markdown)

    def led(found: re.Match[str]) -> str:
        words, target = found.groups()
        path, mark, place = target.partition("#")
        if not path:
            return found[0]
        inside = _inside(here, path)
        if files.get_file_from_path(inside) is None:
            return words
        up = "../" * len(here.parts)
        return f"[{words}]({up}{inside}{mark}{place})"

    return _LINK.sub(led, markdown)


def _both_themes(found: re.Match[str]) -> str:
    words, folder, name = found.groups()
    made = json.loads((ROOT / "docs" / "figures" / "figures.json").read_text(encoding="utf-8"))[name]
    images = "".join(f"{words}({folder}{name}-{theme}.svg#only-{theme})" for theme in ("light", "dark"))
    said = "" if name.startswith("pictures") else f"{made['said']} "
    return f"{images}\n\n<small>{said}(`{made['command']}`)</small>"


def _inside(here: Path, path: str) -> str:
    """Where a link written in the repository leads within the site."""
    if here.parts[:1] == ("guide",):
        source = GUIDE.joinpath(*here.parts[1:], path)
    else:
        source = (ROOT / "docs").joinpath(here, path)
    source = source.resolve()
    if source.is_relative_to(GUIDE):
        return f"guide/{source.relative_to(GUIDE).as_posix()}"
    docs = ROOT / "docs"
    if (
        source == docs / "findings" / "README.md"
    ):  # for readers of the repository; here it is a tab of its own
        return "guide/findings/LG101.md"
    return source.relative_to(docs).as_posix() if source.is_relative_to(docs) else ""


def _title(page: Path) -> str:
    return re.search(r"^title: (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)[1]
