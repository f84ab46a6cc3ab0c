"""Reports as single HTML files: styles and pictures inside, no scripts, nothing loaded from elsewhere."""
