"""Article D's story: a run that did not learn, why, and the proof, in pictures that ship with cnnviz."""

from cnnviz.ui.story.page import story

__all__ = ["story"]
