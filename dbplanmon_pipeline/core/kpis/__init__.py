"""Figures of users: when they are due, what they mean, what people are told."""
