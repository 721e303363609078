"""The models of `stereodiffusion.models.cards` as components of a CycloneDX bill of materials.

    python scripts/sbom_models.py PACKAGES.json SBOM.json

Each is pinned to its revision and has its licence; of those on this disk every file of weights is a component within
it, with its SHA-256.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from stereodiffusion.models.cards import CARDS, ModelCard
from stereodiffusion.models.stored import on_disk

VERSION = SchemaVersion.V1_6


def model_of(card: ModelCard) -> Component:
    """A model as a component."""
    there = on_disk(card)
    files = [] if there is None else list(_weights(card, there.folder))
    found = Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=card.name,
        bom_ref=f"model:{card.name}",
        version=card.revision or "embedded",
        description=card.note,
        licenses=[LicenseFactory().make_from_string(card.licence)],
        components=files,
        properties=[
            Property(name="stereodiffusion:pinned", value=str(card.pinned).lower()),
            Property(name="stereodiffusion:commercial_use", value=str(card.commercial_use).lower()),
            Property(name="stereodiffusion:on_disk", value=str(there is not None).lower()),
        ],
    )
    if card.repository is not None:
        place = f"https://huggingface.co/{card.repository}/tree/{card.revision}"
        found.external_references.add(ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(place)))
    return found


def _weights(card: ModelCard, folder: Path) -> Iterator[Component]:
    for name in card.files:
        if name.endswith(".safetensors"):
            with (folder / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            hashes = [HashType(alg=HashAlgorithm.SHA_256, content=digest)]
            reference = f"model:{card.name}:{name}"
            yield Component(type=ComponentType.FILE, name=name, bom_ref=reference, hashes=hashes)


def with_models(packages: str) -> str:
    """A bill of packages, JSON, with the models besides; checked against the schema.

    Raises:
        SystemExit: If it is not what the schema says.
    """
    bom = cast(Bom, cast(Any, Bom).from_json(json.loads(packages)))
    for card in CARDS:
        bom.components.add(model_of(card))
    content = make_outputter(bom, OutputFormat.JSON, VERSION).output_as_string(indent=1)
    wrong = JsonStrictValidator(VERSION).validate_str(content)
    if wrong is not None:
        raise SystemExit(f"expected a bill as CycloneDX {VERSION.to_version()} has it: {wrong}")
    return content


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(with_models(Path(sys.argv[1]).read_text()))
