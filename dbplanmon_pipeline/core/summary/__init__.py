"""A day or a week of the fleet, and its pages."""
