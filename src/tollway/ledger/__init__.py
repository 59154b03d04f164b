"""Double entry: accounts, transfers that sum to zero, holds that end once, and the book that decides.

Owns: which money may move where (chart.py), what a transfer is (transfer.py), how a hold lives and ends (hold.py),
budget windows (budget.py), the wallets and open holds in memory (book.py), and what an audit proves (audit.py). Does
not own: rows and files (store), what a request costs (metering), keys (workspaces). Invariants: a transfer sums to zero
per currency; a hold ends once; available = posted - held - frozen is never negative.
"""
