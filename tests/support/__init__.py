"""What several test folders share: real third-party upstreams, our own byte-level fault upstream, and their fixtures."""
