"""Answers to probes: does it live, is it ready, what is wrong."""
