"""Judge thousands of scans: `accelerate launch -m brainai.inference.cohort`, docs/cohorts.md.

`find` lists the scans, `judge` judges them one by one, `ledger` records which are done, `bids`
names the files, and `tables` and `page` present the results.
"""
