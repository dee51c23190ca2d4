"""Evaluation of a model on unseen patients: metrics, intervals, report, figures."""
