"""Scans by the thousand: `accelerate launch -m brainai.inference.cohort`, see docs/cohorts.md.

`find` lists the scans, `judge` answers for them one by one, `ledger` remembers what is done,
`bids` names the files, `tables` and `page` show the results.
"""
