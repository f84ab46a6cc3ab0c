"""Our own database: schema, migrations, repositories and archive."""
