"""The documents agree with the tree they describe."""

import importlib.util
import re
import tomllib
import xml.etree.ElementTree
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
GUIDES = [
    "tutorial",
    "headset",
    "integrations",
    "study",
    "choosing",
    "formats",
    "web",
    "models",
    "comfort",
    "batch",
    "scale",
    "video",
    "datasets",
    "security",
    "method",
    "authors",
    "glossary",
    "architecture",
    "benchmark",
    "results",
    "notes",
]
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(f"docs/{name}.md" for name in GUIDES),
    "docs/tables/kitti.md",
    "docs/tables/middlebury.md",
    "docs/tables/scenes.md",
    "docs/tables/regions/kitti.md",
    "docs/tables/regions/middlebury.md",
    "docs/tables/regions/scenes.md",
    "training/README.md",
]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    local = [link for link in links if not link.startswith(("http://", "https://"))]
    missing = [link for link in local if not ((ROOT / document).parent / link).exists()]
    assert missing == []


def test_every_document_is_looked_at() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    found = {path.relative_to(ROOT).as_posix() for path in documents}
    assert found <= set(DOCUMENTS)


def generated_tables(document: str) -> list[str]:
    """The tables that `bench table` printed, each with its caption."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(
        r"^\*\*(?:Table \d|Regions|Pair)\. [^\n]*\(data set [^\n]*\n\n(?:\|[^\n]*\n?)+", text, flags=re.MULTILINE
    )


def test_a_table_that_is_shown_is_the_one_that_is_kept() -> None:
    kept = {table.strip() for name in DOCUMENTS if name.startswith("docs/tables/") for table in generated_tables(name)}
    shown = [table.strip() for table in generated_tables("docs/results.md")]
    assert shown
    assert [table.partition("\n")[0] for table in shown if table not in kept] == []


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name.startswith("docs/tables/")])
def test_a_file_of_tables_is_of_one_data_set(name: str) -> None:
    captions = [table.partition("\n")[0] for table in generated_tables(name)]
    assert captions
    assert all(f"(data set {Path(name).stem}," in caption for caption in captions)


def test_the_layers_are_those_that_are_enforced() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = settings["tool"]["importlinter"]["contracts"][0]
    enforced = [layer.replace("stereodiffusion.", "") for layer in contract["layers"]]
    section = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Layers")[2].partition("##")[0]
    written = " ".join(line.strip() for line in section.splitlines() if line.startswith("    "))
    assert [layer.strip() for layer in written.split(">")] == enforced


def drawing(name: str) -> ModuleType:
    """The program beside the documents that draws something for one of them."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_of_the_architecture_is_that_of_the_contract() -> None:
    drawn = drawing("architecture")
    assert drawn.PICTURE.read_text(encoding="utf-8") == drawn.drawing(
        drawn.layers()
    )  # else: python docs/architecture.py
    root = xml.etree.ElementTree.parse(drawn.PICTURE).getroot()
    names = [text.text for text in root.iter() if text.get("font-weight") == "600"]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    assert names == [name.strip().removeprefix("stereodiffusion.") for layer in layers for name in layer.split("|")]


def test_pages_ask_no_other_host_for_anything() -> None:
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "font: false" in settings
    assert re.findall(r"https?://", settings) == []
    for document in DOCUMENTS:
        text = (ROOT / document).read_text(encoding="utf-8")
        assert re.findall(r"!\[[^\]]*\]\(https?://|<(?:img|script|iframe|link)\b", text) == [], document


def test_every_guide_is_in_the_navigation() -> None:
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [name for name in GUIDES if f": {name}.md" not in settings] == []


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_the_commands_are_there(document: str) -> None:
    named = re.findall(r"^(scripts/\w+|\.ci/\w+)", (ROOT / document).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert named
    assert all((ROOT / name).stat().st_mode & 0o100 for name in named)


def test_what_people_are_told_of_is_in_the_source_distribution() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shipped = settings["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert [name for name in shipped if not (ROOT / name).exists()] == []
    told = {*DOCUMENTS, "mkdocs.yml", "src", "tests", "scripts", ".ci", "LICENSE", "constraints.txt"}
    assert {name.partition("/")[0] for name in told} <= set(shipped)


def rows_of(document: str, name: str) -> dict[str, list[str]]:
    """The cells of a table between marks, by the first cell of their row."""
    text = (ROOT / document).read_text(encoding="utf-8")
    table = text.partition(f"<!-- {name} -->\n")[2].partition(f"<!-- end {name} -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()]
    return {row[0].strip("`"): row[1:] for row in rows[2:]}


def test_the_table_of_formats_is_drawn_from_the_code() -> None:
    assert f"<!-- formats -->\n{drawing('formats').formats_table()}\n<!-- end" in (ROOT / "docs/formats.md").read_text()


def test_the_conversions_are_those_that_the_code_makes() -> None:
    """Of two rows; what is lost in decibels is another scene's and not compared."""
    drawn, shown = drawing("formats"), rows_of("docs/formats.md", "matrix")
    assert list(shown) == list(drawn.sources())
    for source, cells in drawn.conversions(drawn.scene(24, 32), iter(["sbs", "rgbd"])):
        assert [_kind(cell) for cell in shown[source]] == [_kind(cell) for cell in cells.values()]
    both = [cells for source, cells in shown.items() if not source.startswith("rgbd")]
    assert all([cell == "-" for cell in cells] == [cell == "-" for cell in both[0]] for cells in both)


def _kind(cell: str) -> str:
    return "dB" if cell.lstrip("-").isdigit() else cell
