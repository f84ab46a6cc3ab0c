"""Ways back: forced plans, indexes, statistics, as dry text that nothing here executes."""
