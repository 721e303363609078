"""The page on a tiny model, listening on this machine: the program itself, in a process of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
import torch
from PIL import Image
from tests import tiny

from stereodiffusion.synthesis import StereoDiffusion, load


@dataclass(frozen=True, kw_only=True)
class Served:
    """The page's address, and the model that it has, in this process."""

    url: str
    model: StereoDiffusion


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served, None, None]:
    if find_spec("gradio") is None:
        pytest.skip("the page needs Gradio: pip install 'stereodiffusion[web]'")
    folder = tiny.save_with_depth(tmp_path_factory.mktemp("models") / "tiny", closed=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "stereodiffusion", "web", "--model", str(folder), "--port", str(port)]
    with (tmp_path_factory.mktemp("log") / "log").open("w+") as log:
        program = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})
        try:
            _wait_for(f"http://127.0.0.1:{port}/config", program)
            yield Served(url=f"http://127.0.0.1:{port}", model=load(folder, device="cpu"))
        finally:
            program.terminate()
            program.wait(20)
        log.seek(0)  # nothing else is said, whatever clients ask for, and whoever is still there at the end
        assert log.read() == f"http://127.0.0.1:{port}\nstereodiffusion: terminated\n"


def _wait_for(url: str, program: "subprocess.Popen[bytes]") -> None:
    began = time.monotonic()
    while time.monotonic() - began < 120:
        assert program.poll() is None, "the program has ended"
        try:
            httpx.get(url)
        except httpx.ConnectError:
            time.sleep(0.2)
        else:
            return
    raise TimeoutError("the page is not there")


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    values = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(3))
    path = tmp_path_factory.mktemp("photos") / "somewhere.png"
    Image.fromarray((values.permute(1, 2, 0) * 255).byte().numpy()).save(path)
    return path
