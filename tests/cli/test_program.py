"""The program in a process of its own: how fast it starts, and how it ends."""

import os
import subprocess
import sys

import pytest
from tests.cli.conftest import Run

import stereodiffusion
from stereodiffusion.models.cards import CARDS

PROGRAM = [sys.executable, "-c", "from stereodiffusion.cli.main import main; main()"]


def execute(*arguments: str, code: str | None = None, **given: str | None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code] if code else PROGRAM
    alone = {"OMP_NUM_THREADS": "1", "THP_MEM_ALLOC_ENABLE": None} | given
    environment = {name: value for name, value in (os.environ | alone).items() if value is not None}
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("arguments", [["--help"], ["text", "--help"], ["depth", "-h"], ["photo", "--help"]])
def test_help_of_every_mode(arguments: list[str]) -> None:
    result = execute(*arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert "Usage: stereodiffusion" in result.stdout


def test_help_does_not_wait_for_torch() -> None:
    code = (
        "import sys\n"
        "from stereodiffusion.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n"
        "    print({'torch', 'numpy', 'PIL', 'diffusers', 'transformers'} & set(sys.modules))"
    )
    assert execute("text", "--help", code=code).stdout.endswith("set()\n")


@pytest.mark.parametrize("wanted", [None, "0"])
def test_large_pages_are_asked_for_unless_somebody_wants_none(wanted: str | None) -> None:
    code = (
        "import os\n"
        "from stereodiffusion.cli.main import main\n"
        "before = os.environ.get('THP_MEM_ALLOC_ENABLE')\n"
        "try:\n    main()\nexcept SystemExit:\n"
        "    print(before, os.environ['THP_MEM_ALLOC_ENABLE'])"
    )
    result = execute("--version", code=code, THP_MEM_ALLOC_ENABLE=wanted)
    assert result.stdout.endswith(f"{wanted} {wanted or 1}\n")


def test_version(run: Run) -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"stereodiffusion {stereodiffusion.__version__}\n")


def test_without_a_command_there_is_help(run: Run) -> None:
    result = run()
    assert result.exit_code == 2
    assert "Usage: stereodiffusion" in result.stdout


def test_models_are_listed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = run("models")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    starts = [number for number, line in enumerate(lines) if line and not line.startswith(" ")]
    listed = ["\n".join(lines[start:end]) for start, end in zip(starts, [*starts[1:], None], strict=True)]
    for card, shown in zip(CARDS, listed, strict=False):
        flowing = " ".join(shown.split())
        assert shown.startswith(f"{card.name} ")
        assert "on disk" in shown or "with the package" in shown
        assert f"{card.licence}, {'commercial use allowed' if card.commercial_use else 'no commercial use'}" in flowing
        assert card.note in flowing
        assert ("presets fast and best" in flowing) == bool(card.suits)
        assert all(f"{name} {value}" in flowing for name, value in card.suits.items())
        if card.repository is not None:
            assert f"{card.download_mb} MB" in shown
            assert f"{card.repository} at {card.revision}" in flowing
        assert max(map(len, shown.splitlines())) <= 80


def test_an_error_in_a_process_of_its_own() -> None:
    result = execute("photo", "nowhere.jpg")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "stereodiffusion: error: nowhere.jpg: no such file\n"
