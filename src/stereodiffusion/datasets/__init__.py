"""Stereo data: procedural scenes, and readers of published data sets.

opening       data sets by name            dataset, sample    what a data set and a scene of it are
middlebury    2001 to 2021                 kitti              2012 and 2015
eth3d         two views                    folder             any pairs
webdataset    tar files
scenes        the procedural generator     procedural         the same as a data set
densify       sparse disparity made dense    reading          what all readers share
"""

from stereodiffusion.datasets.dataset import StereoDataset
from stereodiffusion.datasets.densify import densify
from stereodiffusion.datasets.eth3d import open_eth3d
from stereodiffusion.datasets.folder import open_folder
from stereodiffusion.datasets.kitti import open_kitti
from stereodiffusion.datasets.middlebury import open_middlebury
from stereodiffusion.datasets.opening import DatasetName, open_dataset
from stereodiffusion.datasets.procedural import open_scenes
from stereodiffusion.datasets.sample import StereoSample
from stereodiffusion.datasets.webdataset import open_webdataset

__all__ = [
    "DatasetName",
    "StereoDataset",
    "StereoSample",
    "densify",
    "open_dataset",
    "open_eth3d",
    "open_folder",
    "open_kitti",
    "open_middlebury",
    "open_scenes",
    "open_webdataset",
]
