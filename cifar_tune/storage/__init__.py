"""Results in an object store: `s3://bucket/x`, `gs://bucket/x`."""
