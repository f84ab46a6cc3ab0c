"""What the pages show, as JSON for programs."""
