"""From pictures to answers: the classifier as Python sees it."""
