"""The report: everything an explanation holds, in one HTML file for people."""

from kanx.explain.report.page import render
from kanx.explain.report.trial import Trial

__all__ = ["Trial", "render"]
