"""The paper's user study (Sec. 4.2, Fig. 6): a page on which people score pairs, and what their scores say.

exhibits     pairs of several methods from the same prompts      page      the folder that goes onto a phone
answers      scores read back                                    scores    means, intervals, paired tests
figure       Fig. 6
"""

from stereodiffusion.study.answers import Answer, read_answers
from stereodiffusion.study.exhibits import Exhibit, gather
from stereodiffusion.study.figure import draw_scores
from stereodiffusion.study.page import write_study
from stereodiffusion.study.scores import Comparison, MethodScore, compare_methods, score_methods

__all__ = [
    "Answer",
    "Comparison",
    "Exhibit",
    "MethodScore",
    "compare_methods",
    "draw_scores",
    "gather",
    "read_answers",
    "score_methods",
    "write_study",
]
