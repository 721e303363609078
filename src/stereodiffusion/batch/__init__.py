"""Batches: a folder of photos, a manifest or a file of prompts, made into a folder of results.

rows       what the input says                      jobs      the requests that come of it
naming     names by input and hash                  output    what is written, whole
making     read, drawn, written                     running   all of them, over as many starts as it takes
report     report.jsonl                             sheet     the contact sheet
cluster    workers on several machines                timeline  which stage went on when
"""

from stereodiffusion.batch.cluster import Cluster
from stereodiffusion.batch.jobs import Job, jobs_of
from stereodiffusion.batch.making import Making
from stereodiffusion.batch.output import Output
from stereodiffusion.batch.report import REPORT, Entry, read_report
from stereodiffusion.batch.rows import read_rows
from stereodiffusion.batch.running import run
from stereodiffusion.batch.sheet import SHEET, write_sheet
from stereodiffusion.batch.timeline import Span, chrome_trace, overlap

__all__ = [
    "REPORT",
    "SHEET",
    "Cluster",
    "Entry",
    "Job",
    "Making",
    "Output",
    "Span",
    "chrome_trace",
    "jobs_of",
    "overlap",
    "read_report",
    "read_rows",
    "run",
    "write_sheet",
]
