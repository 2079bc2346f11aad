"""A planted classifier: noisy scores of one group each, right about 80% of the time."""

import numpy as np

from genwright.core.groups import Judge

NAMES = "abcdef"
APART = {2: 1.19, 3: 1.66}  # by how much the score of the true group is higher, for 80%


def judged_of(labels, groups, dice, apart=None, drawn_to=0.0):
    """(n, groups) probabilities. apart: other than what the classifier was trained for, where
    samples look different. drawn_to: what is added to the first group's score."""
    scores = dice.normal(size=(len(labels), groups))
    scores[np.arange(len(labels)), labels] += APART[groups] if apart is None else apart
    scores[:, 0] += drawn_to
    chances = np.exp(APART[groups] * scores)
    return chances / chances.sum(1, keepdims=True)


def judge_of(truth, judged, clusters=None):
    groups = tuple(NAMES[: judged.shape[1]])
    return Judge(groups, lambda samples: judged, "a planted classifier", truth, judged, clusters)
