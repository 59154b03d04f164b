"""Integer money: nano-USD in the ledger, pico-USD in prices, and the only roundings there are."""
