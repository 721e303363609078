"""A stereo data set: the names of its scenes, and how one of them is read."""

from collections.abc import Callable
from dataclasses import dataclass

from stereodiffusion.datasets.sample import StereoSample
from stereodiffusion.errors import DatasetError


@dataclass(frozen=True, slots=True, kw_only=True)
class StereoDataset:
    """Scenes that are read one at a time, so that one that is broken does not stop the others.

    It can be pickled: the workers of a run read for themselves.

    Attributes:
        name: Which data set.
        scenes: What its scenes are called, in a fixed order.
        reader: Reads the scene of a name.
    """

    name: str
    scenes: tuple[str, ...]
    reader: Callable[[str], StereoSample]

    def __len__(self) -> int:
        return len(self.scenes)

    def read(self, scene: str) -> StereoSample:
        """One of the `scenes`.

        Raises:
            DatasetError: If there is no such scene, or a file of it is missing, damaged or of the wrong size; the
                message names the file.
        """
        if scene not in self.scenes:
            raise DatasetError(f"{self.name}: expected one of its {len(self.scenes)} scenes, got {scene!r}")
        return self.reader(scene)
