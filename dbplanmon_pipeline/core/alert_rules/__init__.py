"""What becomes of queued messages: muted, deferred, grouped, repeated, ended."""
