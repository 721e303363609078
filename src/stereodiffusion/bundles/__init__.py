"""Research bundles: pairs with the truth of both eyes, in the layouts of published data sets.

annotated   a pair with all that is known of it     camera        its cameras, from its request
calibration cameras in files                        layouts       the files of a pair
measuring   numbers of a pair and of a set          shards        tar files
writing     whole folders                           scenes, sets  as many procedural scenes as one likes
card        what a set is, for people and programs
"""

from stereodiffusion.bundles.annotated import AnnotatedPair, Origin, annotate, annotate_all
from stereodiffusion.bundles.calibration import Calibration, read_calibration
from stereodiffusion.bundles.camera import camera_of
from stereodiffusion.bundles.layouts import BundleName, bundle_files, check_layout
from stereodiffusion.bundles.writing import check_free, gather_bundle, write_bundle, write_loose

__all__ = [
    "AnnotatedPair",
    "BundleName",
    "Calibration",
    "Origin",
    "annotate",
    "annotate_all",
    "bundle_files",
    "camera_of",
    "check_free",
    "check_layout",
    "gather_bundle",
    "read_calibration",
    "write_bundle",
    "write_loose",
]
