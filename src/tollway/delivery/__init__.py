"""The way out: webhooks and mails of alerts, sent beside the requests, to addresses that are ours to reach."""
