"""What the site has beside the files of this folder: documents from elsewhere in the tree, and the reference.

A hook of mkdocs. Every package and module of `stereodiffusion` gets a page, found in the tree and not listed by hand;
links to source files lead to what the reference says of them.
"""

import ast
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "stereodiffusion"
ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "training/README.md": "training.md",
}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def reference_pages() -> dict[str, str]:
    """Names of modules, by the page that describes them: the package itself, then what it consists of."""
    found = [path for path in PACKAGE.iterdir() if (path / "__init__.py").exists() or path.suffix == ".py"]
    names = sorted(path.stem for path in found if not path.stem.startswith("_"))
    return {"reference/index.md": PACKAGE.name} | {f"reference/{name}.md": f"{PACKAGE.name}.{name}" for name in names}


def reference_page(module: str) -> str:
    """A page that mkdocstrings fills; of the package itself the public names alone."""
    if module != PACKAGE.name:
        return f"# {module.removeprefix(f'{PACKAGE.name}.')}\n\n::: {module}\n"
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (homes,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "_HOMES"
    )
    text = (
        "# stereodiffusion\n\nThe public names; `import stereodiffusion` has them all.\n\n| name | from |\n|---|---|\n"
    )
    for name, home in sorted(homes.items()):
        page = f"{home.split('.')[1]}.md"
        text += f"| `{name}` | [`{home}`]({page}) |\n"
    return text


def on_config(config: Any) -> Any:
    """Add the reference to the navigation."""
    config["nav"].append(
        {"Reference": [{module.rpartition(".")[2]: page} for page, module in reference_pages().items()]}
    )
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that no file of this folder is the source of."""
    for source, page in ELSEWHERE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_moved(text, source, page)))
    for page, module in reference_pages().items():
        files.append(File.generated(config, page, content=reference_page(module)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Turn links that leave this folder into links within the site."""
    if page.file.generated_by:
        return markdown
    return _moved(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)


def _moved(text: str, source: str, page: str) -> str:
    """A document's text, with links as they are from where its page lies."""

    def replaced(match: re.Match[str]) -> str:
        picture, label, link = match.groups()
        if "://" in link or link.startswith("#"):
            return match[0]
        path, _, anchor = link.partition("#")
        target = _page_of(posixpath.normpath(posixpath.join(posixpath.dirname(source), path)))
        if target is None:
            return label  # what is no part of the site is named only
        target, _, inside = target.partition("#")
        anchor = inside or anchor
        relative = posixpath.relpath(target, posixpath.dirname(page) or ".")
        return f"{picture}[{label}]({relative}{'#' + anchor if anchor else ''})"

    return _LINK.sub(replaced, text)


def _page_of(path: str) -> str | None:
    """Where the site has a file or folder of the tree."""
    if path in ELSEWHERE:
        return ELSEWHERE[path]
    if path.startswith("docs/") and (ROOT / path).is_file():
        return path.removeprefix("docs/")
    if path == "docs/tables":
        return "results.md"
    if path.startswith("src/stereodiffusion"):
        parts = Path(path).relative_to("src/stereodiffusion").with_suffix("").parts
        parts = parts[:-1] if parts[-1:] == ("__init__",) else parts
        return f"reference/{parts[0]}.md#{'.'.join(('stereodiffusion', *parts))}" if parts else "reference/index.md"
    return None
