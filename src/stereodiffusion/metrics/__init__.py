"""How good a synthesised right view is, as a picture and as one eye of a pair.

image         against the true right view            siou          edges, and where the eyes differ
matching      disparity measured on a pair           accuracy      that against the one asked for
rivalry       colour, sharpness, height              comfort       parallax, and the frame
shared        what both eyes see                     evaluation    all of these, by name
perceptual    learned distances, optional            trunks        the networks of these
flow          disparity by a network, optional       fetching      weights of networks
pairwise      learned judgements of pairs, optional  genstereo     the protocol of GenStereo
"""

from stereodiffusion.metrics.accuracy import end_point_error, outlier_rate
from stereodiffusion.metrics.comfort import parallax_percentile, window_violation
from stereodiffusion.metrics.evaluation import MATCHED, evaluate_images, evaluate_matching, evaluate_pair
from stereodiffusion.metrics.flow import FlowMatcher, MatcherName, load_matcher
from stereodiffusion.metrics.genstereo import GENSTEREO_SIZE, evaluate_genstereo
from stereodiffusion.metrics.image import ms_ssim, psnr, ssim
from stereodiffusion.metrics.matching import MatchedPair, Matcher, SemiGlobalMatcher, match_pair
from stereodiffusion.metrics.pairwise import (
    PairwiseMetric,
    PairwiseName,
    check_pairwise,
    evaluate_pairwise,
    load_pairwise,
)
from stereodiffusion.metrics.perceptual import (
    PerceptualMetric,
    PerceptualName,
    check_perceptual,
    evaluate_perceptual,
    installed_perceptual,
    load_perceptual,
)
from stereodiffusion.metrics.rivalry import colour_mismatch, sharpness_mismatch, vertical_disparity
from stereodiffusion.metrics.shared import SharedView, shared_view
from stereodiffusion.metrics.siou import siou

__all__ = [
    "GENSTEREO_SIZE",
    "MATCHED",
    "FlowMatcher",
    "MatchedPair",
    "Matcher",
    "MatcherName",
    "PairwiseMetric",
    "PairwiseName",
    "PerceptualMetric",
    "PerceptualName",
    "SemiGlobalMatcher",
    "SharedView",
    "check_pairwise",
    "check_perceptual",
    "colour_mismatch",
    "end_point_error",
    "evaluate_genstereo",
    "evaluate_images",
    "evaluate_matching",
    "evaluate_pair",
    "evaluate_pairwise",
    "evaluate_perceptual",
    "installed_perceptual",
    "load_matcher",
    "load_pairwise",
    "load_perceptual",
    "match_pair",
    "ms_ssim",
    "outlier_rate",
    "parallax_percentile",
    "psnr",
    "shared_view",
    "sharpness_mismatch",
    "siou",
    "ssim",
    "vertical_disparity",
    "window_violation",
]
