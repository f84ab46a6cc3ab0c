"""From interval rows to arrays: one series per statement, moments, windows, hours of the calendar."""
