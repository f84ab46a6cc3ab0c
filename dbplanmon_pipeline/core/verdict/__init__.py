"""Baselines and the rules that judge the present by them."""
