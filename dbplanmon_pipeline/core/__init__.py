"""Pure rules and values: data and a clock in, data out."""
