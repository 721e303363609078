"""How comfortable a pair is to look at, on which display, and what would make it so.

measuring    a pair's parallax and how alike its eyes are      rules      what strains eyes, one by one
zone         what a display shows in comfort; fitting into it  report     score, reasons, what to change
salience     what people look at, for the screen to be there
"""

from stereodiffusion.comfort.measuring import Measured, bars_in, measure, measure_by_matching, measure_pair
from stereodiffusion.comfort.report import Change, Made, Report, report_on
from stereodiffusion.comfort.rules import FARTHEST, NEAREST, Finding, broken_rules
from stereodiffusion.comfort.salience import looked_at
from stereodiffusion.comfort.zone import Bounds, Fit, bounds_of, fit

__all__ = [
    "FARTHEST",
    "NEAREST",
    "Bounds",
    "Change",
    "Finding",
    "Fit",
    "Made",
    "Measured",
    "Report",
    "bars_in",
    "bounds_of",
    "broken_rules",
    "fit",
    "looked_at",
    "measure",
    "measure_by_matching",
    "measure_pair",
    "report_on",
]
