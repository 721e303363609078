"""The notebook, and the program in the page on diffusers, do what is written there, in fewer steps."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from tests import tiny

from stereodiffusion.formats import read_image, side_by_side

pytestmark = pytest.mark.long

DOCS = Path(__file__).parents[2] / "docs"


def test_the_notebook_runs_cell_by_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((DOCS / "notebooks" / "from-prompt-to-headset.ipynb").read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    names: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
            if "parameters" in cell["metadata"].get("tags", ()):
                names["STEPS"] = 2  # what papermill does
    low, high = map(float, re.findall(r"([+-][\d.]+)%", capsys.readouterr().out.splitlines()[0]))
    assert -2.5 <= low < 0 < high <= 2.5
    pair = names["pair"]
    both = read_image(tmp_path / "ball-sbs.jpg")
    assert (both - side_by_side(pair.left, pair.right)).abs().mean() < 0.02
    written = {file.name for file in tmp_path.iterdir()}
    assert written >= {"ball-sbs-half.jpg", "ball-cross-eyed.jpg", "ball-anaglyph.jpg", "photo.jpg"}
    assert written >= {"ball-mpo.mpo", "ball_qs1x3a1.png"}


def test_the_page_on_diffusers_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"^```python\n(.*?)^```$", (DOCS / "integrations.md").read_text(), flags=re.M | re.S)
    tiny.save(tmp_path / "tiny")
    here = f'"{tmp_path / "tiny"}", depth_estimator_name="photo-depth"'
    program = program.replace('"stable-diffusion-v1-5/stable-diffusion-v1-5"', here)
    names: dict[str, Any] = {}
    exec(compile(program.replace("=30", "=4"), "docs/integrations.md", "exec"), names)
    output = names["output"]
    assert [read_image(tmp_path / name).shape[2:] for name in ("cat.png", "cat.jpg")] == [(64, 128), (64, 64)]
    assert torch.equal(output.pairs.left, output.pairs[0].left)
