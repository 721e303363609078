"""Monocular depth: how near each pixel of one picture is.

`load_depth_estimator` puts a network of transformers behind the protocol `DepthEstimator`. What comes out is
*relative inverse depth*, near is large, with an arbitrary scale; `Disparity.from_relative` of
`stereodiffusion.geometry` gives it a unit.
"""

from stereodiffusion.models.estimators.estimator import DepthEstimator, MonocularDepth, Prediction
from stereodiffusion.models.estimators.loading import load_depth_estimator

__all__ = ["DepthEstimator", "MonocularDepth", "Prediction", "load_depth_estimator"]
