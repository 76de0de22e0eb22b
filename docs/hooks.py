"""What mkdocs needs beyond its settings: more pages, the list of packages, and references in docstrings."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
#: File at the top of the repository, and its name on the site.
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "CONTRIBUTING.md", "CHANGELOG.md": "CHANGELOG.md"}
FOLDERS = ("specklescope", "app", "reconstruction", "calibration", "acquisition", "drivers")
_LINK = re.compile(r"(?<=\]\()(?:docs/)?([\w./-]+)")
#: A reference such as ``:class:`drivers.base.Camera```, as it is after Markdown has seen it.
_ROLE = re.compile(r":(?:class|func|meth|mod|attr|data|exc|obj):<code>~?([\w.]+)</code>")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from the top of the repository. Their links to ``docs/`` and to each other become links on the site."""
    for name, page in PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_LINK.sub(lambda link: PAGES.get(link[1], link[1]), text)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Write what each package contains in place of the word PACKAGES, from its ``__init__.py``."""
    if page.file.src_uri != "api/index.md":
        return markdown
    rows = [f"| `{name}` | {text} |" for folder in FOLDERS for name, text in _packages(ROOT / folder)]
    return markdown.replace("PACKAGES", "\n".join(["| package | contents |", "|---|---|", *rows]))


def on_page_content(html: str, **_: Any) -> str:
    """Make links of references in docstrings, and drop the colons of reStructuredText before a block of code."""
    html = _ROLE.sub(r'<autoref identifier="\1" optional><code>\1</code></autoref>', html)
    return html.replace("<p>::</p>", "").replace("::</p>", ":</p>")


def _packages(folder: Path) -> list[tuple[str, str]]:
    files = [folder / "__init__.py", *sorted(folder.glob("*/**/__init__.py"))]
    texts = [ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "" for file in files]
    return [
        (".".join(file.parent.relative_to(ROOT).parts), text.partition("\n\n")[0].replace("\n", " ").replace("``", "`"))
        for file, text in zip(files, texts, strict=True)
    ]
