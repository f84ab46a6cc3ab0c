"""What the status page reads, small answers about large fleets."""
