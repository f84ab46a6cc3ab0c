"""SQL Server plans: from the text of any file to operators, and masked."""
