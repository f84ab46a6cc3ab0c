"""Texts of statements: their tokens in each dialect, what is masked of them, and what makes two the same."""
