"""How good a model is on patients it has not seen: metrics, cohort scorer, report, figures."""
