"""Article D's story: a run that did not learn, why, and the proof, in pictures that ship with cnnviz."""

from cnnviz.ui.story.page import FAILED, MENDED, story

__all__ = ["FAILED", "MENDED", "story"]
