"""The rules that set the last intervals against normal: means, a new plan, dear executions."""
