"""The five-minute start: a real server, a workload, and three things that break."""
