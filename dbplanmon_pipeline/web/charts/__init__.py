"""Charts as SVG: pure functions from figures to markup, coloured by classes of the style sheet."""
